package frontend

import (
	"bytes"
	"log"
	"log/slog"
)

// Log returns where a server logs: to l, else as text to a log of package log, else to
// slog.Default().
func Log(l *slog.Logger, text *log.Logger) *slog.Logger {
	switch {
	case l != nil:
		return l
	case text != nil:
		return slog.New(slog.NewTextHandler(lines{text}, &slog.HandlerOptions{ReplaceAttr: withoutTime}))
	}
	return slog.Default()
}

// withoutTime leaves out the time, which the text log has its own flag for.
func withoutTime(groups []string, a slog.Attr) slog.Attr {
	if a.Key == slog.TimeKey && len(groups) == 0 {
		return slog.Attr{}
	}
	return a
}

// lines passes whole lines on.
type lines struct{ log *log.Logger }

func (l lines) Write(p []byte) (int, error) {
	l.log.Print(string(bytes.TrimSuffix(p, []byte("\n"))))
	return len(p), nil
}
