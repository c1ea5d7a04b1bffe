package daemon

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gatehouse/cgi"
	"gatehouse/cgi/cgitest"
	"gatehouse/cgi/process"
	"gatehouse/cgi/script"
	"gatehouse/fastcgi"
	"gatehouse/fastcgi/upstream"
	"gatehouse/internal/nowait"
	"gatehouse/internal/testkit"
	"gatehouse/scgi"
)

// TestForwarding: applications that listen by themselves, and an authorizer, as they are
// configured.
func TestForwarding(t *testing.T) {
	discard := slog.New(slog.DiscardHandler)
	app := cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
		status := "200 OK"
		if r.Role == cgi.Authorizer && r.Env.Get("QUERY_STRING") != "open" {
			status = "403 Forbidden"
		}
		w.StartResponse(status, []cgi.Field{cgi.Variable("REMOTE_USER", "anna")})
		_, err := w.Write([]byte(r.Role.String() + " " + r.Env.Get("SCRIPT_NAME") + r.Env.Get("PATH_INFO") + " " + r.Env.Get("REMOTE_USER") + " " + r.Env.Get("A")))
		return err
	})
	f, s := testkit.Listen(t, "unix"), testkit.Listen(t, "tcp")
	testkit.Serve(t, &fastcgi.Server{App: app, Authorizer: app, Log: discard}, f, fastcgi.ErrServerClosed)
	testkit.Serve(t, &scgi.Server{App: app, Log: discard}, s, scgi.ErrServerClosed)
	dir := t.TempDir()
	for _, name := range []string{"www", "shared", "kept-out"} {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name, "x.php"), nil, 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink("../"+name, filepath.Join(dir, "www", name)); err != nil {
			t.Fatal(err)
		}
	}
	text := strings.NewReplacer("F", "unix:"+f.Addr().String(), "S", s.Addr().String(), "DIR", dir).Replace(`
[[app]]
prefix = "/f"
fastcgi = ["F"]
env = { A = "1" }
keep = 1
[[app]]
prefix = "/s"
scgi = "S"
env = { A = "2" }
[[app]]
prefix = "/guarded"
hello = true
authorizer = "F"
[[app]]
prefix = "/php"
fastcgi = "F"
root = "DIR/www"
follow = "DIR/shared"
`)
	c, err := ParseConfig("g.toml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	m, end, err := mountAll(c.Apps, discard)
	if err != nil {
		t.Fatal(err)
	}
	defer end()
	for _, tt := range []struct {
		path, query, want string
		code              int
	}{
		{"/f/x", "", "responder /f/x  1", 200},
		{"/s/x", "", "responder /s/x  2", 200},
		{"/php/x.php", "", "responder /php/x.php  ", 200},
		{"/php/shared/x.php", "", "responder /php/shared/x.php  ", 200},
		{"/php/kept-out/x.php", "", "403 Forbidden\n", 403},
		{"/guarded", "open", "hello world\n", 200},
		{"/guarded", "", "authorizer   ", 403},
	} {
		var got cgitest.Recorder
		r := cgitest.NewRequest(cgi.NewEnviron("SCRIPT_NAME=", "PATH_INFO="+tt.path, "QUERY_STRING="+tt.query))
		(&cgi.Handler{Log: discard}).Run(r, &got, m.app)
		if got.Head.Code != tt.code || got.Body.String() != tt.want {
			t.Errorf("%s?%s: status %d, %q; want %d, %q", tt.path, tt.query, got.Head.Code, got.Body.String(), tt.code, tt.want)
		}
	}
	answer, err := c.Explain(Question{Target: "/guarded"})
	if err != nil || len(answer.Notes) != 1 || answer.App != "hello = true" {
		t.Errorf("explained as %+v, %v", answer, err)
	}
	answer, err = c.Explain(Question{Target: "/s"})
	if want := `scgi = "` + s.Addr().String() + `"`; err != nil || answer.App != want {
		t.Errorf("explained as %+v, %v; want %s", answer, err, want)
	}
}

// TestForwardingLimits: which limits of the configuration an application has.
func TestForwardingLimits(t *testing.T) {
	c, err := ParseConfig("g.toml", []byte("silence = \"7s\"\n[[app]]\nfastcgi = \"a:1\"\nfirst_byte = \"5s\"\nqueue = 3\nqueue_wait = \"off\"\nconnections = 4\ndial = \"6s\"\nkeep_idle = \"8s\"\nstderr_bytes = \"1KiB\"\n"))
	if err != nil {
		t.Fatal(err)
	}
	app, end, err := c.Apps[0].Kind.prepare(preparation{limits: c.Apps[0].Limits, log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer end()
	want := upstream.Limits{Connections: 4, Queue: 3, QueueWait: -1, Dial: 6 * time.Second, FirstByte: 5 * time.Second, Silence: 7 * time.Second,
		StderrBytes: 1024, KeepIdle: 8 * time.Second}
	if got := app.(*upstream.App).Limits; got != want {
		t.Errorf("limits %+v, want %+v", got, want)
	}
	for text, want := range map[string]string{
		"[[app]]\nfastcgi = \"a:1\"\nindex = \"index.php\"\n":                       "g.toml:1:3: upstream: index: it needs root",
		"[[app]]\nfastcgi = \"a:1\"\nrole = \"authorizer\"\nauthorizer = \"a:1\"\n": "an authorizer cannot have an authorizer of its own",
	} {
		c, err := ParseConfig("g.toml", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		_, end, err := prepare(c.Apps, preparation{limits: script.Limits{}, log: slog.New(slog.DiscardHandler)})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
		end()
	}
}

// TestReserve: connections leave descriptors for the programs and the connections of all
// applications, also of one with an authorizer.
func TestReserve(t *testing.T) {
	c, err := ParseConfig("g.toml", []byte("programs = 3\n[[app]]\nprefix = \"/s\"\nscgi = \"a:1\"\nconnections = 20\n"+
		"[[app]]\nscripts = \""+t.TempDir()+"\"\nauthorizer = \"a:1\"\n"))
	if err != nil {
		t.Fatal(err)
	}
	apps, end, err := prepare(c.Apps, preparation{limits: script.Limits{}, log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer end()
	if got, want := cgi.Descriptors(apps...), (20+128)*(1+nowait.PipeDescriptors)+3*process.Descriptors; got != want {
		t.Errorf("%d descriptors, want %d", got, want)
	}
}
