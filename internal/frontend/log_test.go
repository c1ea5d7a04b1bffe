package frontend

import (
	"bytes"
	"log"
	"log/slog"
	"testing"
)

func TestLog(t *testing.T) {
	var text, structured bytes.Buffer
	old := log.New(&text, "app: ", log.Lmsgprefix)
	l := slog.New(slog.NewTextHandler(&structured, nil))
	if Log(l, old) != l || Log(nil, nil) != slog.Default() {
		t.Error("another log than the one that was given")
	}
	Log(nil, old).Warn("peer refused", "peer", "192.0.2.7:1234")
	Log(nil, old).Debug("not of interest")
	if got, want := text.String(), "app: level=WARN msg=\"peer refused\" peer=192.0.2.7:1234\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
