package gatehouse_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"gatehouse/fastcgi/record"
	"gatehouse/internal/testkit"
	"gatehouse/scgi"

	"golang.org/x/sys/unix"
)

// A started is a program that a test has started.
type started struct {
	t      *testing.T
	cmd    *exec.Cmd
	report *bufio.Reader
	stdout io.Reader
}

// start starts the test binary as the program, with the given descriptors and
// environment.
func start(t *testing.T, stdin *os.File, extra []*os.File, env ...string) *started {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	cmd := exec.Command(exe)
	if stdin != nil {
		cmd.Stdin = stdin
	}
	cmd.ExtraFiles = append(extra, w)
	number := map[int]string{0: "3", 1: "4", 2: "5"}[len(extra)]
	cmd.Env = append([]string{"GATEHOUSE_TEST_PROGRAM=" + number, "GORACE=atexit_sleep_ms=0"}, env...)
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	return &started{t, cmd, bufio.NewReader(r), stdout}
}

// address reads where the program listens.
func (s *started) address() string {
	s.t.Helper()
	line, err := s.report.ReadString('\n')
	if err != nil {
		s.t.Fatalf("no address: %v", err)
	}
	return strings.TrimSuffix(line, "\n")
}

// terminate asks the program to end and waits for it.
func (s *started) terminate() {
	s.t.Helper()
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		s.t.Error(err)
	}
	s.wait()
}

// wait waits for the program to end with status 0.
func (s *started) wait() {
	s.t.Helper()
	rest, _ := io.ReadAll(s.report)
	if err := s.cmd.Wait(); err != nil {
		s.t.Errorf("the program ended with %v: %s", err, rest)
	}
}

func listen(t *testing.T, network string) (net.Listener, *os.File) {
	t.Helper()
	l := testkit.Listen(t, network)
	return l, testkit.File(t, l)
}

// askFastCGI makes one request over FastCGI and returns its STDOUT.
func askFastCGI(t *testing.T, c net.Conn, path string) string {
	t.Helper()
	var params []byte
	for _, p := range [][2]string{{"REQUEST_METHOD", "GET"}, {"SCRIPT_NAME", path}, {"SERVER_PROTOCOL", "HTTP/1.1"}} {
		params = record.AppendPair(params, p[0], p[1])
	}
	b := record.AppendBegin(nil, 1, record.Responder, 0)
	b = record.AppendStream(b, record.Params, 1, params)
	b = record.AppendRecord(b, record.Params, 1, nil)
	b = record.AppendRecord(b, record.Stdin, 1, nil)
	if _, err := c.Write(b); err != nil {
		t.Fatal(err)
	}
	var out []byte
	for r := record.NewReader(c); ; {
		h, content, err := r.Next()
		if err != nil {
			t.Fatalf("after %q: %v", out, err)
		}
		switch h.Type() {
		case record.Stdout:
			out = append(out, content...)
		case record.EndRequest:
			return string(out)
		}
	}
}

// askSCGI makes one request over SCGI and returns the response.
func askSCGI(t *testing.T, c net.Conn, path string) string {
	t.Helper()
	head := "CONTENT_LENGTH\x000\x00SCGI\x001\x00REQUEST_METHOD\x00GET\x00SCRIPT_NAME\x00" + path + "\x00SERVER_PROTOCOL\x00HTTP/1.1\x00"
	if _, err := c.Write(scgi.AppendNetstring(nil, []byte(head))); err != nil {
		t.Fatal(err)
	}
	out, err := io.ReadAll(c)
	if err != nil {
		t.Fatalf("after %q: %v", out, err)
	}
	return string(out)
}

// checkResponse checks a response in CGI form.
func checkResponse(t *testing.T, got, path string) {
	t.Helper()
	head, body, _ := strings.Cut(got, "\r\n\r\n")
	if !strings.HasPrefix(head, "Status: 200 OK\r\n") || !strings.Contains(head, "X-Method: GET") {
		t.Errorf("head %q", head)
	}
	if want := "path " + path + " body \"\" <nil>\n"; body != want {
		t.Errorf("body %q; want %q", body, want)
	}
}

func TestServeListeningStdin(t *testing.T) {
	for _, network := range []string{"unix", "tcp"} {
		t.Run(network, func(t *testing.T) {
			l, f := listen(t, network)
			p := start(t, f, nil)
			checkResponse(t, askFastCGI(t, testkit.Dial(t, l.Addr()), "/fastcgi"), "/fastcgi")
			p.terminate()
		})
	}
}

// TestServeWebServerAddrs: with a listening socket on descriptor 0 the peer must be in
// FCGI_WEB_SERVER_ADDRS.
func TestServeWebServerAddrs(t *testing.T) {
	l, f := listen(t, "tcp")
	p := start(t, f, nil, "FCGI_WEB_SERVER_ADDRS=192.0.2.7,127.0.0.1")
	checkResponse(t, askFastCGI(t, testkit.Dial(t, l.Addr()), "/fastcgi"), "/fastcgi")
	p.terminate()

	for network, list := range map[string]string{"tcp": "192.0.2.7", "unix": "127.0.0.1"} {
		l, f := listen(t, network)
		p := start(t, f, nil, "FCGI_WEB_SERVER_ADDRS="+list)
		if b, err := io.ReadAll(testkit.Dial(t, l.Addr())); len(b) > 0 || err != nil {
			t.Errorf("%s: got %q, %v; want an end", network, b, err)
		}
		p.terminate()
	}

	_, f = listen(t, "tcp")
	p = start(t, f, nil, "FCGI_WEB_SERVER_ADDRS=192.0.2.7,")
	line, _ := p.report.ReadString('\n')
	if !strings.Contains(line, `FCGI_WEB_SERVER_ADDRS is "192.0.2.7,": "" is not an IP address`) {
		t.Errorf("the program said %q", line)
	}
	if err := p.cmd.Wait(); err == nil {
		t.Error("the program served")
	}
}

func TestServeActivated(t *testing.T) {
	l1, f1 := listen(t, "unix")
	l2, f2 := listen(t, "tcp")
	p := start(t, nil, []*os.File{f1, f2}, "LISTEN_PID=self", "LISTEN_FDS=2", "LISTEN_FDNAMES=scgi.site:http")
	checkResponse(t, askSCGI(t, testkit.Dial(t, l1.Addr()), "/scgi"), "/scgi")
	resp, err := http.Get("http://" + l2.Addr().String() + "/http")
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	if err != nil || string(body) != "path /http body \"\" <nil>\n" {
		t.Errorf("got %q, %v", body, err)
	}
	http.DefaultClient.CloseIdleConnections()
	p.terminate()
}

func TestServeActivatedConnection(t *testing.T) {
	c, f := connection(t, "unix")
	p := start(t, nil, []*os.File{f}, "LISTEN_PID=self", "LISTEN_FDS=1", "LISTEN_FDNAMES=connection")
	f.Close()
	checkResponse(t, askSCGI(t, c, "/accept-yes"), "/accept-yes")
	p.wait()
}

// connection returns the two ends of a connection, the server's as a file.
func connection(t *testing.T, network string) (net.Conn, *os.File) {
	t.Helper()
	c, s := testkit.Pair(t, network)
	defer s.Close()
	return c, testkit.File(t, s)
}

// TestServeConnectedStdin is inetd: one connection, one request, and the end.
func TestServeConnectedStdin(t *testing.T) {
	for _, network := range []string{"unix", "tcp"} {
		t.Run(network, func(t *testing.T) {
			c, f := connection(t, network)
			p := start(t, f, nil)
			f.Close()
			checkResponse(t, askSCGI(t, c, "/inetd"), "/inetd")
			p.wait()
		})
	}
}

var cgiVariables = []string{"GATEWAY_INTERFACE=CGI/1.1", "REQUEST_METHOD=GET", "SCRIPT_NAME=/cgi", "SERVER_PROTOCOL=HTTP/1.1"}

func TestServeCGI(t *testing.T) {
	p := start(t, nil, nil, cgiVariables...)
	out, err := io.ReadAll(p.stdout)
	if err != nil {
		t.Error(err)
	}
	checkResponse(t, string(out), "/cgi")
	p.wait()
}

// TestServeModCGID has a connected socket with a name on descriptor 0, as mod_cgid
// gives its programs: it is no SCGI connection.
func TestServeModCGID(t *testing.T) {
	_, f := connection(t, "unix")
	p := start(t, f, nil, cgiVariables...)
	f.Close()
	out, err := io.ReadAll(p.stdout)
	if err != nil {
		t.Error(err)
	}
	checkResponse(t, string(out), "/cgi")
	p.wait()
}

func TestServeBare(t *testing.T) { checkBare(t, start(t, nil, nil)) }

// TestServeSocketpairStdin is what sshd gives a command: a socket without a name.
func TestServeSocketpairStdin(t *testing.T) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	a, b := os.NewFile(uintptr(fds[0]), "ours"), os.NewFile(uintptr(fds[1]), "theirs")
	defer a.Close()
	p := start(t, b, nil)
	b.Close()
	checkBare(t, p)
}

// checkBare makes a request to a program that was started with nothing to serve on.
func checkBare(t *testing.T, p *started) {
	t.Helper()
	resp, err := http.Get("http://" + p.address() + "/bare")
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	if err != nil || string(body) != "path /bare body \"\" <nil>\n" || resp.Header.Get("X-Method") != "GET" {
		t.Errorf("got %q, %v, %v", body, err, resp.Header)
	}
	http.DefaultClient.CloseIdleConnections()
	p.terminate()
}
