package daemon

import (
	"io"
	"log/slog"
	"os"
)

// NewLog returns a log that writes to w: text on a terminal, otherwise one JSON object
// per line.
func NewLog(w io.Writer) *slog.Logger {
	if f, ok := w.(*os.File); ok {
		if info, err := f.Stat(); err == nil && info.Mode()&os.ModeCharDevice != 0 {
			return slog.New(slog.NewTextHandler(w, nil))
		}
	}
	return slog.New(slog.NewJSONHandler(w, nil))
}
