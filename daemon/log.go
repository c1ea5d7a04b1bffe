package daemon

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"os"
	"strconv"
	"sync"
	"sync/atomic"

	"gatehouse/internal/syslog"
)

// Bounds of a value in a log, in bytes. Longer values are cut, and end in "...".
const (
	maxLogged      = 2 << 10
	maxLoggedStack = 16 << 10 // of a stack, and of a tree of processes
)

// LogFormat is the form of the lines of a log.
type LogFormat int

const (
	LogAuto    LogFormat = iota // LogText on a terminal, otherwise LogJSON
	LogText                     // NAME=VALUE, as slog.TextHandler writes it
	LogJSON                     // an object for each line
	LogJournal                  // entries of systemd's journal, with fields
)

var logFormatNames = []string{"auto", "text", "json", "journald"}

// ParseLogFormat returns the format of that name.
func ParseLogFormat(s string) (LogFormat, bool) {
	for i, name := range logFormatNames {
		if s == name {
			return LogFormat(i), true
		}
	}
	return 0, false
}

// String returns the name of the format in a configuration.
func (f LogFormat) String() string { return logFormatNames[f] }

// on returns the format of a log that is written to w.
func (f LogFormat) on(w io.Writer) LogFormat {
	if f != LogAuto {
		return f
	}
	if l, ok := w.(*LogWriter); ok {
		w = l.w
	}
	if f, ok := w.(*os.File); ok {
		if info, err := f.Stat(); err == nil && info.Mode()&os.ModeCharDevice != 0 {
			return LogText
		}
	}
	return LogJSON
}

// NewLog returns a log that writes to w: text on a terminal, otherwise one JSON object
// per line. Values are cut at 2 KiB, a stack and a tree of processes at 16 KiB. If w is a LogWriter,
// nobody who logs has to wait for whoever reads the log.
func NewLog(w io.Writer) *slog.Logger { return slog.New(LogAuto.on(w).handler(w, false)) }

// handler returns the handler of a log that writes to w. If severe is true, each line
// begins with its severity, "<N>".
func (f LogFormat) handler(w io.Writer, severe bool) slog.Handler {
	if severe {
		h := &severityHandler{lines: &severityLines{to: w}}
		h.inner = f.handler(&h.lines.line, false)
		return h
	}
	o := &slog.HandlerOptions{ReplaceAttr: cutValue}
	if f == LogText {
		return slog.NewTextHandler(w, o)
	}
	return slog.NewJSONHandler(w, o)
}

// A severityHandler writes records with their severity in front.
type severityHandler struct {
	inner slog.Handler // writes to lines.line
	lines *severityLines
}

type severityLines struct {
	to   io.Writer
	mu   sync.Mutex // held for a whole record
	line bytes.Buffer
}

func (h *severityHandler) Enabled(ctx context.Context, l slog.Level) bool {
	return h.inner.Enabled(ctx, l)
}

func (h *severityHandler) Handle(ctx context.Context, r slog.Record) error {
	s := h.lines
	s.mu.Lock()
	defer s.mu.Unlock()
	s.line.Reset()
	s.line.WriteString("<" + strconv.Itoa(int(severity(r.Level))) + ">")
	if err := h.inner.Handle(ctx, r); err != nil {
		return err
	}
	_, err := s.to.Write(s.line.Bytes())
	return err
}

func (h *severityHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &severityHandler{h.inner.WithAttrs(attrs), h.lines}
}

func (h *severityHandler) WithGroup(name string) slog.Handler {
	return &severityHandler{h.inner.WithGroup(name), h.lines}
}

// severity returns the severity of a level.
func severity(l slog.Level) syslog.Severity {
	switch {
	case l >= slog.LevelError:
		return syslog.Error
	case l >= slog.LevelWarn:
		return syslog.Warning
	case l >= slog.LevelInfo:
		return syslog.Info
	}
	return syslog.Debug
}

// A logSwitch is a handler that passes records on to one that can be replaced.
type logSwitch struct {
	to   *atomic.Pointer[slog.Handler]
	with []func(slog.Handler) slog.Handler // what was added since
}

func (s *logSwitch) handler() slog.Handler {
	h := *s.to.Load()
	for _, add := range s.with {
		h = add(h)
	}
	return h
}

func (s *logSwitch) Enabled(ctx context.Context, l slog.Level) bool {
	return (*s.to.Load()).Enabled(ctx, l)
}

func (s *logSwitch) Handle(ctx context.Context, r slog.Record) error {
	return s.handler().Handle(ctx, r)
}

func (s *logSwitch) WithAttrs(attrs []slog.Attr) slog.Handler {
	return s.adding(func(h slog.Handler) slog.Handler { return h.WithAttrs(attrs) })
}

func (s *logSwitch) WithGroup(name string) slog.Handler {
	return s.adding(func(h slog.Handler) slog.Handler { return h.WithGroup(name) })
}

func (s *logSwitch) adding(add func(slog.Handler) slog.Handler) slog.Handler {
	return &logSwitch{s.to, append(s.with[:len(s.with):len(s.with)], add)}
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
