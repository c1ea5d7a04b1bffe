package deploy_test

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"gatehouse/cgi"
	"gatehouse/fastcgi"
	"gatehouse/internal/testkit"
)

// messagePrograms are the programs of a newcomer, in /srv/messages/bin.
var messagePrograms = map[string]string{
	"hello":     "#!/bin/sh\nprintf 'Content-Type: text/plain\\n\\nhello\\n'",
	"headless":  "#!/bin/sh\necho '<html>'",
	"traceback": "#!/bin/sh\nprintf 'Traceback (most recent call last):\\n  File \"x\", ' >&2; sleep 0.1; printf 'line 1\\nNameError: x\\n' >&2\nprintf 'Content-Type: text/plain\\n\\nfailed\\n'",
	"flood":     "#!/bin/sh\ni=0; while [ $i -lt 2000 ]; do echo \"$i: a line of 50 bytes that nobody is going to read\" >&2; i=$((i+1)); done\nprintf 'Content-Type: text/plain\\n\\nhello\\n'",
}

// startLogged starts a shell command, whose stderr goes to a file that it returns.
func startLogged(t *testing.T, name, command string, stdin *os.File, sockets ...string) (log func() string) {
	t.Helper()
	const dir = "/run/messages"
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), name)
	cmd := exec.Command("/bin/sh", "-c", "umask 0; "+command)
	cmd.Env, cmd.Dir, cmd.Stdin = []string{"PATH=" + workspace + ":/usr/bin:/bin", "LOG=" + file}, "/", stdin
	startServer(t, name, cmd, []string{file}, sockets...)
	return func() string {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
}

func installMessagePrograms(t *testing.T) {
	t.Helper()
	for name, text := range messagePrograms {
		writeProgram(t, "/srv/messages/bin/"+name, text, 0o755)
	}
	t.Cleanup(func() { os.RemoveAll("/srv/messages") })
}

// TestMessagesBehindNginx: what gatehouse says of mistakes in nginx's configuration.
func TestMessagesBehindNginx(t *testing.T) {
	installMessagePrograms(t)
	log := startLogged(t, "messages", `exec gatehouse serve --fastcgi unix:/run/messages/fastcgi.sock,mode=0666 --scgi unix:/run/messages/scgi.sock,mode=0666 \
		--app /bin=scripts:/srv/messages/bin --app /=scripts:/srv/messages 2>"$LOG"`, nil, "/run/messages/fastcgi.sock", "/run/messages/scgi.sock")
	startNginx(t, "testdata/messages/nginx.conf")
	for _, c := range []struct {
		path   string
		status int
		line   string // of gatehouse's log
	}{
		{"/forgotten/fastcgi", http.StatusInternalServerError, `the web server sent no CGI variables: in nginx, write \"include fastcgi_params;\" beside fastcgi_pass`},
		{"/forgotten/scgi", http.StatusBadRequest, `the variable SCGI is missing: in nginx, write \"include scgi_params;\" beside scgi_pass`},
		{"/wrong/a/b.cgi", http.StatusNotFound, `SCRIPT_FILENAME /srv/www/typo/wrong/a/b.cgi: no such file: /srv has no directory www; the path /wrong/a/b.cgi leads to no program in /srv/messages either`},
		{"/twice/x", http.StatusOK, `"msg":"variable was sent twice, with two values; this is logged once for each name","variable":"SCRIPT_NAME","reason":"the last one counts: let the web server send it once"`},
	} {
		if got := getURL(t, c.path); got.status != c.status {
			t.Errorf("%s: status %d, %q; want %d", c.path, got.status, got.body, c.status)
		}
		if !testkit.Poll(func() bool { return strings.Contains(log(), c.line) }) {
			t.Errorf("%s: the log has no %s", c.path, c.line)
		}
	}
	getURL(t, "/twice/x")
	if n := strings.Count(log(), "was sent twice"); n != 1 {
		t.Errorf("%d lines of SCRIPT_NAME; want one", n)
	}
}

// startFcgiwrapWithoutStderr starts gatehouse in the place of fcgiwrap, as spawn-fcgi
// does: with a socket on descriptor 0, and nothing on 1 and 2.
func startFcgiwrapWithoutStderr(t *testing.T, flags ...string) {
	t.Helper()
	const socket = "/run/messages/fcgiwrap.sock"
	if err := os.MkdirAll(filepath.Dir(socket), 0o755); err != nil {
		t.Fatal(err)
	}
	replaceFcgiwrap(t)
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	t.Cleanup(func() { os.Remove(socket) })
	if err := os.Chmod(socket, 0o666); err != nil {
		t.Fatal(err)
	}
	f, err := l.(*net.UnixListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	startLogged(t, "fcgiwrap", "exec "+fcgiwrapPath+" "+strings.Join(flags, " ")+" >&- 2>&-", f, socket)
}

// TestMessagesOfFcgiwrap: what is wrong reaches nginx's log where fcgiwrap has no stderr,
// and a traceback is there in whole lines.
func TestMessagesOfFcgiwrap(t *testing.T) {
	installMessagePrograms(t)
	for _, c := range []struct {
		flags []string
		path  string
		want  string // of nginx's log
		never string // there
	}{
		{nil, "/bin/headless", `FastCGI sent in stderr: "/srv/messages/bin/headless: bad head: line 1, "<html>": a line of a head is "Name: value": print "Content-Type: text/html" and an empty line first"`, `sent in stderr: ""`},
		{nil, "/bin/a/b", `FastCGI sent in stderr: "SCRIPT_FILENAME /srv/messages/bin/a/b: no such file: /srv/messages/bin has no directory a"`, `sent in stderr: ""`},
		// Whole lines, however long one takes.
		{[]string{"-f"}, "/bin/traceback", "  File \"x\", line 1\nNameError: x", `stderr: "line 1`},
	} {
		t.Run(filepath.Base(c.path), func(t *testing.T) {
			startFcgiwrapWithoutStderr(t, c.flags...)
			startNginx(t, "testdata/messages/nginx.conf")
			getURL(t, c.path)
			var text string
			if !testkit.Poll(func() bool {
				log, err := os.ReadFile("/var/log/nginx/error.log")
				text = string(log)
				return err == nil && strings.Contains(text, c.want)
			}) {
				t.Errorf("nginx's log has no %s:\n%s", c.want, text)
			}
			if strings.Contains(text, c.never) {
				t.Errorf("nginx's log has %s:\n%s", c.never, text)
			}
		})
	}
}

// TestStderrBehindHAProxy: Debian's HAProxy 2.6 ends by a signal on records of STDERR that
// others send; see appendStderr in package fastcgi. It survives all that a program may say.
func TestStderrBehindHAProxy(t *testing.T) {
	installMessagePrograms(t)
	const config = "/etc/gatehouse/messages.toml"
	text := "fastcgi = [\"unix:/run/messages/fastcgi.sock\", \"127.0.0.1:9000\"]\n[[app]]\nprefix = \"/cgi-bin\"\nscripts = \"/srv/messages/bin\"\nstderr = \"client\"\n"
	if err := os.MkdirAll(filepath.Dir(config), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(config, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Remove(config) })
	log := startLogged(t, "messages", `exec gatehouse serve --config `+config+` 2>"$LOG"`, nil, "/run/messages/fastcgi.sock")
	startHAProxy(t, "haproxy/fastcgi.cfg")
	for range 5 {
		if got := getURL(t, "/cgi-bin/flood"); got.status != http.StatusOK || got.body != "hello\n" {
			t.Errorf("status %d, body %q", got.status, got.body)
		}
	}
	if !testkit.Poll(func() bool { return strings.Count(log(), `"msg":"program stderr suppressed"`) == 5 }) {
		t.Errorf("the rest is not counted in the log:\n%s", log())
	}
}

// TestWriteStderrBehindHAProxy: a Go program may send any number of bytes at once.
func TestWriteStderrBehindHAProxy(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:9000")
	if err != nil {
		t.Fatal(err)
	}
	var log testkit.Log
	s := &fastcgi.Server{Log: log.Logger(), App: cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
		n, err := strconv.Atoi(r.Env.Get("QUERY_STRING"))
		if err != nil {
			return err
		}
		if err := cgi.WriteStderr(w, bytes.Repeat([]byte("x"), n)); err != nil {
			return err
		}
		if err := w.StartResponse("200 OK", []cgi.Field{{Name: "Content-Type", Value: "text/plain"}}); err != nil {
			return err
		}
		_, err = io.WriteString(w, "hello\n")
		return err
	})}
	testkit.Serve(t, s, l, fastcgi.ErrServerClosed)
	startHAProxy(t, "haproxy/go-application.cfg")
	for _, n := range []int{1, 100, 1 << 10, 4 << 10, 8 << 10, 16 << 10, 64 << 10} {
		for range 5 {
			if got := getURL(t, "/?"+strconv.Itoa(n)); got.status != http.StatusOK || got.body != "hello\n" {
				t.Errorf("%d bytes: status %d, body %q", n, got.status, got.body)
			}
		}
	}
}
