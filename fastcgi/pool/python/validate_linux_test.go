package python

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"gatehouse/cgi"
	"gatehouse/cgi/validate"
	"gatehouse/internal/testkit"
)

// TestValidatedOnBothSides: with wsgiref.validate around the application and package validate
// around its workers, requests that keep the rules pass without a word, and the log says which
// rule an application breaks.
func TestValidatedOnBothSides(t *testing.T) {
	log := new(testkit.Log)
	a := &App{Application: "rules:app", Dir: testdata(t), Env: noBytecode, Validate: true, Limits: Limits{Programs: 1, QueueWait: testkit.Patience}, Log: log.Logger()}
	t.Cleanup(func() { a.Close() })
	var mu sync.Mutex
	var warnings []string
	checked := &validate.App{App: a, Warn: func(w *validate.Warning) {
		mu.Lock()
		defer mu.Unlock()
		warnings = append(warnings, w.String())
	}}
	server := httptest.NewServer((&cgi.Handler{Log: log.Logger()}).HTTP(checked, cgi.Limits{}))
	t.Cleanup(server.Close)
	for _, tt := range []struct {
		method, path, body string
		status             int
		log                string
	}{
		{"GET", "/valid", "", 200, ""},
		{"POST", "/valid", "one\ntwo", 200, ""},
		{"PUT", "/valid?q=%C3%BC", strings.Repeat("line\n", 100_000), 200, ""},
		{"HEAD", "/valid", "", 200, ""},
		{"GET", "/tupled", "", 500, "must be of type list"},
		{"GET", "/none", "", 500, "The application must return an iterator, if only an empty list"},
	} {
		req, err := http.NewRequest(tt.method, server.URL+tt.path, strings.NewReader(tt.body))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := server.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, resp.Body); err != nil {
			t.Errorf("%s %s: %v", tt.method, tt.path, err)
		}
		resp.Body.Close()
		if resp.StatusCode != tt.status {
			t.Errorf("%s %s: status %d, want %d", tt.method, tt.path, resp.StatusCode, tt.status)
		}
		if tt.log != "" {
			awaitLog(t, log, tt.log)
		} else if got := log.String(); got != "" {
			t.Errorf("%s %s: log\n%s", tt.method, tt.path, got)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	for _, w := range warnings {
		t.Errorf("warning: %s", w)
	}
}
