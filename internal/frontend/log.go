package frontend

import (
	"bytes"
	"log"
	"log/slog"
)

// Log returns the log of a server: l if it is not nil, else one that writes to text if
// that is not nil, else slog.Default().
func Log(l *slog.Logger, text *log.Logger) *slog.Logger {
	switch {
	case l != nil:
		return l
	case text != nil:
		return slog.New(slog.NewTextHandler(lines{text}, &slog.HandlerOptions{ReplaceAttr: withoutTime}))
	}
	return slog.Default()
}

// withoutTime leaves out the time: the text log has its own flag for it.
func withoutTime(groups []string, a slog.Attr) slog.Attr {
	if a.Key == slog.TimeKey && len(groups) == 0 {
		return slog.Attr{}
	}
	return a
}

// lines writes each line to a log.
type lines struct{ log *log.Logger }

func (l lines) Write(p []byte) (int, error) {
	l.log.Print(string(bytes.TrimSuffix(p, []byte("\n"))))
	return len(p), nil
}
