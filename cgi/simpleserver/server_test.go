package simpleserver

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"gatehouse/cgi"
	"gatehouse/cgi/spool"
	"gatehouse/internal/testkit"
)

// TestLimits: whatever a client does or leaves undone ends by a limit.
func TestLimits(t *testing.T) {
	const short = 30 * time.Millisecond
	writing := make(chan struct{})
	endless := cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
		close(writing)
		if err := w.StartResponse("200 OK", nil); err != nil {
			return err
		}
		for {
			if _, err := w.Write(make([]byte, 64<<10)); err != nil {
				return err
			}
		}
	})
	reading := cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
		_, err := io.ReadAll(r.Body)
		return err
	})
	chunked := "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
	for _, c := range []struct {
		name    string
		server  *Server
		request string // after which the client neither sends nor reads
		want    string // the first line of the answer
		log     string // of the access log, from the request on
	}{
		{"half a body", &Server{App: reading, Limits: cgi.Limits{BodyRead: short}}, "POST / HTTP/1.0\r\nContent-Length: 3\r\n\r\na",
			"HTTP/1.0 408 Request Timeout", "\"POST / HTTP/1.0\" 408 20\n"},
		{"half a chunk", &Server{Limits: cgi.Limits{BodyRead: short}}, chunked + "5\r\na", "HTTP/1.0 408 Request Timeout", "408 -\n"},
		{"long line", &Server{RequestLine: 20}, "GET /" + strings.Repeat("x", 20), "HTTP/1.0 414 Request-URI Too Long", "\"\" 414 -\n"},
		{"long field", &Server{HeaderLine: 20}, "GET / HTTP/1.0\r\nX: " + strings.Repeat("x", 20), "HTTP/1.0 431 Line too long", "431 -\n"},
		{"many fields", &Server{HeaderCount: 2}, "GET / HTTP/1.0\r\nA: 1\r\nB: 2\r\nC: 3\r\n", "HTTP/1.0 431 Too many headers", "431 -\n"},
		{"as many fields", &Server{HeaderCount: 2}, "GET / HTTP/1.0\r\nA: 1\r\nB: 2\r\n\r\n", "HTTP/1.0 200 OK", "200 13\n"},
		{"many lines by carriage returns", &Server{HeaderCount: 3, Compat: true}, "GET / HTTP/1.0\r\nA: 1\r \r \r \r\n\r\n", "HTTP/1.0 431 Too many headers", "431 -\n"},
		{"large head", &Server{Limits: cgi.Limits{ParamsBytes: 40}}, "GET / HTTP/1.0\r\nA: 1\r\nB: 2222222222222222222\r\n", "HTTP/1.0 431 Too many headers", "431 -\n"},
		{"many trailers", &Server{HeaderCount: 1}, chunked + "0\r\nA: 1\r\nB: 2\r\n", "HTTP/1.0 431 Too many headers", "431 -\n"},
		{"long chunk line", &Server{}, chunked + strings.Repeat("0", chunkLine+1), "HTTP/1.0 400 Bad Request", "400 -\n"},
		{"full spool", &Server{Limits: cgi.Limits{Spool: spool.Limits{Max: 3}}}, chunked + "4\r\nabcd", "HTTP/1.0 413 Request Entity Too Large", "413 -\n"},
		{"no room for spools", &Server{Limits: cgi.Limits{Spool: spool.Limits{Total: spool.NewBudget(3)}}}, chunked + "4\r\nabcd",
			"HTTP/1.0 503 Service Unavailable", "503 -\n"},
		{"never reads", &Server{App: endless, Limits: cgi.Limits{Write: short}}, "GET / HTTP/1.0\r\n\r\n", "-", "\"GET / HTTP/1.0\" 200 "},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := c.server
			if s.App == nil {
				s.App = hello
			}
			if s.Limits.Linger == 0 {
				s.Limits.Linger = short
			}
			ts := start(t, s)
			client := ts.dial()
			io.WriteString(client, c.request)
			if c.want == "-" {
				// Shutdown waits for the request, and only the limit ends that.
				<-writing
				ts.Shutdown(context.Background())
			} else {
				b, err := io.ReadAll(client)
				if statusOf(string(b)) != c.want || err != nil && !isReset(err) {
					t.Errorf("got %q, %v", b, err)
				}
				ts.Shutdown(context.Background())
			}
			if got := ts.access.String(); !strings.Contains(got, c.log) || c.log == "" && got != "" || strings.Count(got, "\n") > 1 {
				t.Errorf("access log %q; want %q", got, c.log)
			}
		})
	}
}

// TestIdle: so does a head that does not come whole.
func TestIdle(t *testing.T) {
	for _, c := range []struct{ request, want, log string }{
		{"", "", ""},
		{"GET /", "HTTP/1.0 408 Request Timeout", "\"GET /\" 408 -\n"},
		{"GET / HTTP/1.0\r\nX: y\r\n", "HTTP/1.0 408 Request Timeout", "\"GET / HTTP/1.0\" 408 -\n"},
	} {
		testkit.Longer(t, 30*time.Millisecond, func(t *testing.T, limit time.Duration) (early bool) {
			ts := start(t, &Server{App: hello, Limits: cgi.Limits{Idle: limit, Linger: time.Millisecond}})
			client := ts.dial()
			io.WriteString(client, c.request)
			b, err := io.ReadAll(client)
			ts.Shutdown(context.Background())
			if len(b) == 0 && c.want != "" {
				return true // nothing had been read
			}
			if statusOf(string(b)) != c.want || err != nil && !isReset(err) {
				t.Errorf("got %q, %v", b, err)
			}
			if got := ts.access.String(); !strings.HasSuffix(got, c.log) || c.log == "" && got != "" || strings.Count(got, "\n") > 1 {
				t.Errorf("access log %q; want %q", got, c.log)
			}
			return false
		})
	}
}

// TestConnections: beyond the bound a client waits for its turn.
func TestConnections(t *testing.T) {
	ts := start(t, &Server{App: hello, Limits: cgi.Limits{Connections: 1}})
	first := ts.dial()
	second := make(chan string, 1)
	go func() {
		out, _ := askAt(ts.addr, "GET / HTTP/1.0\r\n\r\n")
		second <- out
	}()
	io.WriteString(first, "GET / HTTP/1.0\r\n\r\n")
	first.CloseWrite()
	if b, err := io.ReadAll(first); bodyOf(string(b)) != "Hello, world!" || err != nil {
		t.Errorf("got %q, %v", b, err)
	}
	if out := <-second; bodyOf(out) != "Hello, world!" {
		t.Errorf("got %q", out)
	}
}

// held is an App that tells when it runs, and waits.
func held() (app cgi.App, running chan *cgi.Request, release chan struct{}) {
	running, release = make(chan *cgi.Request), make(chan struct{})
	return cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
		done := r.Context().Done()
		running <- r
		select {
		case <-release:
		case <-done:
			return context.Cause(r.Context())
		}
		return hello.ServeCGI(w, r)
	}), running, release
}

// TestShutdown lets a request end, Close does not, and neither waits for a
// connection that has not asked for anything.
func TestShutdown(t *testing.T) {
	app, running, release := held()
	ts := start(t, &Server{App: app})
	ts.dial()
	out := make(chan string)
	go func() {
		b, _ := askAt(ts.addr, "GET / HTTP/1.0\r\n\r\n")
		out <- b
	}()
	<-running
	done := make(chan error)
	go func() { done <- ts.Shutdown(context.Background()) }()
	close(release)
	if got := <-out; bodyOf(got) != "Hello, world!" {
		t.Errorf("got %q", got)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}

	app, running, _ = held()
	ts = start(t, &Server{App: app})
	go func() {
		b, _ := askAt(ts.addr, "GET / HTTP/1.0\r\n\r\n")
		out <- b
	}()
	<-running
	ts.Close()
	<-out
	if got := ts.access.String(); strings.Count(got, "\n") != 1 {
		t.Errorf("access log %q", got)
	}
}

// TestCloseEndsBodiesAndAnswers: nothing that waits for a client outlives Close.
func TestCloseEndsBodiesAndAnswers(t *testing.T) {
	begun := make(chan struct{})
	for name, app := range map[string]cgi.AppFunc{
		"body": func(w cgi.ResponseWriter, r *cgi.Request) error {
			close(begun)
			_, err := io.ReadAll(r.Body)
			return err
		},
		"answer": func(w cgi.ResponseWriter, r *cgi.Request) error {
			if err := w.StartResponse("200 OK", nil); err != nil {
				return err
			}
			close(begun)
			for {
				if _, err := w.Write(make([]byte, 64<<10)); err != nil {
					return err
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			begun = make(chan struct{})
			ts := start(t, &Server{App: app})
			length := "0"
			if name == "body" {
				length = "5"
			}
			io.WriteString(ts.dial(), "POST / HTTP/1.0\r\nContent-Length: "+length+"\r\n\r\n")
			<-begun
			if err := ts.Close(); err != nil {
				t.Error(err)
			}
			if got := ts.access.String(); strings.Count(got, "\n") != 1 {
				t.Errorf("access log %q", got)
			}
		})
	}
}

// TestClientGone cancels the context of a request whose client has left.
func TestClientGone(t *testing.T) {
	cause := make(chan error, 1)
	running := make(chan struct{})
	ts := start(t, &Server{App: cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
		ctx := r.Context()
		close(running)
		<-ctx.Done()
		cause <- context.Cause(ctx)
		return context.Cause(ctx)
	})})
	c := ts.dial()
	io.WriteString(c, "GET / HTTP/1.0\r\n\r\n")
	<-running
	c.SetLinger(0)
	c.Close()
	if err := <-cause; !errors.Is(err, cgi.ErrAborted) {
		t.Errorf("cancelled with %v", err)
	}
	ts.Close()
	if got := ts.access.String(); !strings.HasSuffix(got, "\"GET / HTTP/1.0\" - 0\n") {
		t.Errorf("access log %q", got)
	}
}

// TestMakeServer binds at once, then handles one request, then the rest.
func TestMakeServer(t *testing.T) {
	s, err := MakeServer("127.0.0.1", 0, show("SERVER_NAME", "SERVER_SOFTWARE", "GATEWAY_INTERFACE", "REMOTE_ADDR", "REMOTE_HOST", "SCRIPT_NAME"))
	if err != nil {
		t.Fatal(err)
	}
	s.AccessLog = io.Discard
	s.BaseEnv = nil
	defer s.Close()
	addr := s.ServerAddr().String()
	out := make(chan string, 1)
	ask := func() {
		b, _ := askAt(addr, "GET / HTTP/1.0\r\n\r\n")
		out <- b
	}
	go ask()
	if err := s.HandleOne(nil); err != nil {
		t.Error(err)
	}
	want := `SERVER_NAME="127.0.0.1" SERVER_SOFTWARE="` + ownSoftware() + `" GATEWAY_INTERFACE="CGI/1.1" REMOTE_ADDR="127.0.0.1" REMOTE_HOST="" SCRIPT_NAME="" `
	if got := <-out; !strings.HasPrefix(bodyOf(got), want) {
		t.Errorf("got %q", got)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error)
	go func() { served <- s.ListenAndServe(ctx) }()
	for range 2 {
		go ask()
		if got := <-out; !strings.HasPrefix(got, "HTTP/1.0 200 OK\r\n") {
			t.Errorf("got %q", got)
		}
	}
	cancel()
	if err := <-served; err != nil {
		t.Error(err)
	}
	if err := s.HandleOne(nil); err != ErrServerClosed {
		t.Errorf("HandleOne after the end: %v", err)
	}
}

// TestHandleOneClosed: Close ends a HandleOne that waits for a connection.
func TestHandleOneClosed(t *testing.T) {
	l := &waitingListener{accepting: make(chan struct{}), closed: make(chan struct{})}
	s := &Server{App: hello}
	done := make(chan error)
	go func() { done <- s.HandleOne(l) }()
	<-l.accepting
	s.Close()
	if err := <-done; err != ErrServerClosed {
		t.Errorf("got %v", err)
	}
	if err := new(Server).Serve(l); err == nil {
		t.Error("a server without an application serves")
	}
}

// A waitingListener accepts nothing.
type waitingListener struct{ accepting, closed chan struct{} }

func (l *waitingListener) Accept() (net.Conn, error) {
	close(l.accepting)
	<-l.closed
	return nil, net.ErrClosed
}

func (l *waitingListener) Close() error {
	select {
	case <-l.closed:
	default:
		close(l.closed)
	}
	return nil
}

func (l *waitingListener) Addr() net.Addr { return &net.UnixAddr{Name: "x", Net: "unix"} }

// TestConcurrent: requests run at the same time.
func TestConcurrent(t *testing.T) {
	app, running, release := held()
	ts := start(t, &Server{App: app})
	out := make(chan string, 2)
	for range 2 {
		go func() {
			b, _ := askAt(ts.addr, "GET / HTTP/1.0\r\n\r\n")
			out <- b
		}()
	}
	<-running
	<-running
	close(release)
	<-out
	<-out
}

func TestNames(t *testing.T) {
	for _, c := range []struct {
		addr       string
		on         net.Addr
		name, port string
	}{
		{"", &net.TCPAddr{IP: net.IPv4(10, 0, 0, 1), Port: 81}, "10.0.0.1", "81"},
		{"example.org:0", &net.TCPAddr{IP: net.IPv4(10, 0, 0, 1), Port: 81}, "example.org", "81"},
		{"[::1]:0", &net.TCPAddr{IP: net.IPv6loopback, Port: 81}, "[::1]", "81"},
		{"", &net.UnixAddr{Name: "/x", Net: "unix"}, "localhost", "80"},
	} {
		if name, port := (&Server{Addr: c.addr}).name(c.on); name != c.name || port != c.port {
			t.Errorf("%s on %s: %s, %s", c.addr, c.on, name, port)
		}
	}
	if name, _ := (&Server{Addr: ":0"}).name(&net.TCPAddr{IP: net.IPv6zero}); name == "" {
		t.Error("no name on all addresses")
	}
	if h := remoteHost(&net.UnixAddr{Name: "", Net: "unix"}); h != "unix:" {
		t.Errorf("peer of a unix socket: %q", h)
	}
}

// TestBytesBehindTheRequest: what a client sends behind its request does not cost it
// the end of the answer.
func TestBytesBehindTheRequest(t *testing.T) {
	const size = 1 << 20
	ts := start(t, &Server{App: cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
		if _, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, r.Body, make([]byte, 32<<10)); err != nil {
			return err
		}
		if err := w.StartResponse("200 OK", nil); err != nil {
			return err
		}
		_, err := w.Write(make([]byte, size))
		return err
	})})
	for _, request := range []string{
		"POST / HTTP/1.0\r\nContent-Length: 100000\r\n\r\n" + strings.Repeat("x", 100000) + "\r\n",
		"GET / HTTP/1.0\r\n\r\n\r\n",
	} {
		if got := len(bodyOf(ts.ask(request))); got != size {
			t.Errorf("%.20q: %d bytes of the answer came, of %d", request, got, size)
		}
	}
}
