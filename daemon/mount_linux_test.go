package daemon

import (
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"gatehouse/cgi"
	"gatehouse/cgi/script"
)

// A program's redirect leads to another application.
func TestRedirectBetweenApplications(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "x"), []byte("#!/bin/sh\nprintf 'Location: /hello\\n\\n'\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	m, end, err := mountAll([]App{{Prefix: "/hello", Kind: Hello()}, {Prefix: "/cgi-bin", Kind: Scripts(&script.App{Roots: []string{dir}})}}, log)
	if err != nil {
		t.Fatal(err)
	}
	defer end()
	w := httptest.NewRecorder()
	(&cgi.Handler{Log: log}).HTTP(m.app, cgi.Limits{}).ServeHTTP(w, httptest.NewRequest("GET", "/cgi-bin/x", nil))
	if w.Code != 200 || w.Body.String() != "hello world\n" {
		t.Errorf("%d, %q; want 200 and the response of hello", w.Code, w.Body)
	}
}
