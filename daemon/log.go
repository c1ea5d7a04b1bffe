package daemon

import (
	"io"
	"log/slog"
	"os"
)

// Bounds of a value in a log, in bytes. Longer values are cut, and end in "...".
const (
	maxLogged      = 2 << 10
	maxLoggedStack = 16 << 10 // of a stack, and of a tree of processes
)

// NewLog returns a log that writes to w: text on a terminal, otherwise one JSON object
// per line. Values are cut at 2 KiB, a stack and a tree of processes at 16 KiB. If w is a LogWriter,
// nobody who logs has to wait for whoever reads the log.
func NewLog(w io.Writer) *slog.Logger {
	to := w
	if l, ok := w.(*LogWriter); ok {
		to = l.w
	}
	return slog.New(newLogHandler(w, to))
}

// newLogHandler returns the handler of a log that writes to w, in the form that suits to.
func newLogHandler(w, to io.Writer) slog.Handler {
	o := &slog.HandlerOptions{ReplaceAttr: cutValue}
	if f, ok := to.(*os.File); ok {
		if info, err := f.Stat(); err == nil && info.Mode()&os.ModeCharDevice != 0 {
			return slog.NewTextHandler(w, o)
		}
	}
	return slog.NewJSONHandler(w, o)
}

// cutValue cuts a long value, which may be a client's.
func cutValue(_ []string, a slog.Attr) slog.Attr {
	limit := maxLogged
	if a.Key == "stack" || a.Key == "processes" {
		limit = maxLoggedStack
	}
	s := ""
	switch v := a.Value; v.Kind() {
	case slog.KindString:
		s = v.String()
	case slog.KindAny:
		if err, ok := v.Any().(error); ok {
			s = err.Error()
		}
	}
	if len(s) <= limit {
		return a
	}
	return slog.String(a.Key, s[:limit]+"...")
}
