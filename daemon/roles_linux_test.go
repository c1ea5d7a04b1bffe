package daemon

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"gatehouse/cgi"
	"gatehouse/cgi/cgitest"
)

// TestRoles: programs are mounted by their role, one of each at a prefix.
func TestRoles(t *testing.T) {
	dir := t.TempDir()
	for name, status := range map[string]string{"guard": "403 Forbidden", "page": "202 Accepted"} {
		text := "#!/bin/sh\nprintf 'Status: " + status + "\\nContent-Type: text/plain\\n\\n'\n"
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	c, err := ParseConfig("g.toml", []byte("[[app]]\nscripts = \""+dir+"/page\"\n[[app]]\nscripts = \""+dir+"/guard\"\nrole = \"authorizer\"\n"))
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Check(); err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	m, end, err := mountAll(c.Apps, log)
	if err != nil {
		t.Fatal(err)
	}
	defer end()
	h := cgi.Handler{Log: log}
	for _, x := range []struct {
		app  cgi.App
		role cgi.Role
		want int
	}{{m.app, cgi.Responder, 202}, {m.authorizer, cgi.Authorizer, 403}} {
		r := &cgi.Request{Env: cgi.NewEnviron("REQUEST_METHOD=GET", "REQUEST_URI=/any/where"), Role: x.role}
		if res := h.Run(r, new(cgitest.Recorder), x.app); res.Code != x.want {
			t.Errorf("%v: %d, %v, want %d", x.role, res.Code, res.Err, x.want)
		}
	}
	none, end, err := mountAll(Config{}.Defaults().Apps, log)
	if err != nil || none.authorizer != nil {
		t.Errorf("an authorizer where there is none: %v, %v", none.authorizer, err)
	}
	end()
}
