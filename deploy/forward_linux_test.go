package deploy_test

import (
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"gatehouse/internal/testkit"
)

// TestForward: an application on libfcgi that spawn-fcgi has started, in two roles, SmokePing's
// likewise, and fossil by SCGI, through nginx and gatehouse.
func TestForward(t *testing.T) {
	if err := os.MkdirAll("/run/upstream", 0o755); err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(workspace, "responder")
	if out, err := exec.Command("gcc", "-O1", "-o", program, "testdata/upstream/responder.c", "-lfcgi").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, name := range []string{"application", "kept"} {
		socket := "/run/upstream/" + name + ".sock"
		startServer(t, name, exec.Command("/usr/bin/spawn-fcgi", "-n", "-s", socket, "--", program), nil, socket)
	}
	smokeping := exec.Command("/usr/bin/spawn-fcgi", "-n", "-s", "/run/upstream/smokeping.sock", "-u", "www-data", "-U", "www-data", "--",
		"/opt/smokeping/usr/share/smokeping/smokeping.cgi", "/etc/smokeping/config")
	smokeping.Env = []string{"PATH=/usr/bin:/bin", "PERL5LIB=/opt/smokeping/usr/share/perl5"}
	startServer(t, "smokeping", smokeping, nil, "/run/upstream/smokeping.sock")
	startFossil(t)
	install(t, "testdata/upstream/forward.toml", "/etc/gatehouse/forward.toml", 0o644)
	log := startLogged(t, "upstream", `exec gatehouse serve --config /etc/gatehouse/forward.toml 2>"$LOG"`, nil, "/run/upstream/fastcgi.sock", "/run/upstream/scgi.sock")
	startNginx(t, "testdata/upstream/forward.conf")

	for _, c := range []struct {
		method, path, body string
		status             int
		want               string
	}{
		{"GET", "/kept/x", "", 200, "GET /kept /x, user , body 0, sent , long 20000\n"},
		{"POST", "/kept/x", strings.Repeat("x", 5<<20), 200, "POST /kept /x, user , body 5242880, sent 5242880, long 20000\n"},
		{"POST", "/scgi/app/y", strings.Repeat("x", 1<<20), 200, "POST /scgi/app /y, user -, body 1048576, sent 1048576, long 20000\n"},
		{"GET", "/guarded/z?open", "", 200, "GET /guarded /z, user anna, body 0, sent , long 20000\n"},
		{"POST", "/guarded/z", "body", 403, "not you\n"},
		{"GET", "/nobody", "", 502, ""},
	} {
		request, err := http.NewRequest(c.method, "http://localhost"+c.path, strings.NewReader(c.body))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("X-Long", strings.Repeat("x", 20_000)) // more than the 8 KiB of cgi-fcgi
		got := get(t, request)
		if got.status != c.status || c.want != "" && got.body != c.want {
			t.Errorf("%s %s: status %d, %.200q; want %d, %q", c.method, c.path, got.status, got.body, c.status, c.want)
		}
	}
	for _, want := range []string{`-1","line":"a complaint"`, `127.0.0.1:4011: connection refused: nobody listens there`} {
		if !testkit.Poll(func() bool { return strings.Contains(log(), want) }) {
			t.Errorf("the log has no %s:\n%s", want, log())
		}
	}
	wantPage(t, "/fossil/timeline", "text/html", "initial empty check-in", `href="/fossil/timeline`)
	wantPage(t, "/fossil/style.css", "text/css", "body")
	readSmokePing(t)
}

// startFossil serves a repository by SCGI on port 4010.
func startFossil(t *testing.T) {
	t.Helper()
	if err := os.MkdirAll("/srv/fossil", 0o755); err != nil {
		t.Fatal(err)
	}
	// It ends by the signal, whoever asks; the shell makes that a status of 0.
	const script = `fossil init -A admin /srv/fossil/r.fossil >/dev/null || exit 1
fossil server --scgi --localhost --nojail --port 4010 /srv/fossil/r.fossil & trap 'kill $!; exit 0' TERM; wait`
	cmd := exec.Command("/bin/sh", "-c", script)
	cmd.Env = []string{"HOME=/srv/fossil", "USER=root", "PATH=/usr/bin:/bin"}
	startServer(t, "fossil", cmd, nil, "127.0.0.1:4010")
}
