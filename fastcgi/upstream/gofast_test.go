package upstream

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/yookoala/gofast"

	"gatehouse/cgi"
	"gatehouse/fastcgi/record"
	"gatehouse/internal/testkit"
)

// The tests in this file show a defect of the clients of gofast, each first with one of
// those and then with a Session.

// A bareResult is what a client of gofast makes of a request.
type bareResult struct {
	*httptest.ResponseRecorder
	stderr bytes.Buffer
	err    error
	done   chan struct{} // closed when the response has been written
}

// bare makes a request with a client of gofast, which is closed when the test ends.
func bare(t *testing.T, l net.Listener, ctx context.Context, req *gofast.Request) *bareResult {
	t.Helper()
	c, err := gofast.SimpleClientFactory(gofast.SimpleConnFactory(l.Addr().Network(), l.Addr().String()))()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return bareOn(c, ctx, req)
}

func bareOn(c gofast.Client, ctx context.Context, req *gofast.Request) *bareResult {
	r := &bareResult{ResponseRecorder: httptest.NewRecorder(), done: make(chan struct{})}
	req.Raw = new(http.Request).WithContext(ctx)
	if req.Params == nil {
		req.Params = map[string]string{}
	}
	if req.Role == 0 {
		req.Role = gofast.RoleResponder
	}
	pipe, err := c.Do(req)
	if err != nil {
		r.err = err
		close(r.done)
		return r
	}
	go func() {
		defer close(r.done)
		r.err = pipe.WriteTo(r, &r.stderr)
	}()
	return r
}

// wantHang fails the test if what is done ends: it hangs for ever, so the time is of no
// account. Then leave ends it.
func wantHang(t *testing.T, done <-chan struct{}, leave func()) {
	t.Helper()
	select {
	case <-done:
		t.Error("gofast does not hang any more: this defect is gone")
	case <-time.After(50 * time.Millisecond):
	}
	leave()
	testkit.Receive(t, "gofast's end", done)
}

// A site is a Session behind net/http.
type site struct {
	*httptest.Server
	log testkit.Log
	app *App
}

func newSite(t *testing.T, l Limits, h gofast.SessionHandler, listener net.Listener) *site {
	t.Helper()
	s := new(site)
	s.app = newApp(t, l, listener)
	s.app.Log = s.log.Logger()
	if h == nil {
		h = gofast.Chain(gofast.BasicParamsMap, gofast.MapHeader)(gofast.BasicSession)
	}
	s.Server = httptest.NewUnstartedServer(&Session{App: s.app, Handler: h})
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.Start()
	t.Cleanup(s.Close)
	return s
}

// get makes a request, and reads the response as far as it comes.
func (s *site) get(t *testing.T, method string, body io.Reader) (*http.Response, string, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, s.URL+"/", body)
	if err != nil {
		t.Fatal(err)
	}
	return s.do(t, req)
}

func (s *site) do(t *testing.T, req *http.Request) (*http.Response, string, error) {
	t.Helper()
	resp, err := s.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	return resp, string(got), err
}

// TestGofastHead: a line of a head that is long, or is no field.
func TestGofastHead(t *testing.T) {
	for _, tt := range []struct {
		head   string
		status int
	}{
		{"X-Policy: " + strings.Repeat("x", 1500) + "\r\n" + head, 200},
		{"no field\r\n" + head + text(5000), 502},
	} {
		p := newPeer(t, "unix", func(c *peerConn) {
			c.receive()
			c.send(c.stdout(tt.head+"hello"), c.end(0, 0))
			c.wait()
		})
		ctx, cancel := context.WithCancel(t.Context())
		wantHang(t, bare(t, p, ctx, new(gofast.Request)).done, cancel)
		if resp, body, err := newSite(t, Limits{}, nil, p).get(t, "GET", nil); err != nil || resp.StatusCode != tt.status || tt.status == 200 && body != "hello" {
			t.Errorf("status %d, body %q, error %v; want %d", resp.StatusCode, body, err, tt.status)
		}
	}
}

// TestGofastClientGone: the client has gone, and the application goes on writing.
func TestGofastClientGone(t *testing.T) {
	ended := make(chan error, 2)
	p := newPeer(t, "unix", func(c *peerConn) {
		c.receive()
		err := c.send(c.stdout(head))
		for b := c.stdout(text(60_000)); err == nil; {
			_, err = c.Write(b)
		}
		ended <- err
	})
	ctx, cancel := context.WithCancel(t.Context())
	c, err := gofast.SimpleClientFactory(gofast.SimpleConnFactory("unix", p.Addr().String()))()
	if err != nil {
		t.Fatal(err)
	}
	pipe, err := c.Do(&gofast.Request{Raw: new(http.Request).WithContext(ctx), Role: gofast.RoleResponder})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		pipe.WriteTo(goneWriter{http.Header{}}, io.Discard)
	}()
	wantHang(t, done, func() {
		cancel()
		c.Close()
	})
	testkit.Receive(t, "the end of the first", ended)

	s := newSite(t, Limits{}, nil, p)
	resp, err := s.Client().Get(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	testkit.Receive(t, "the end of the second", ended)
}

// A goneWriter is the ResponseWriter of a client that has gone.
type goneWriter struct{ h http.Header }

func (w goneWriter) Header() http.Header       { return w.h }
func (w goneWriter) WriteHeader(int)           {}
func (w goneWriter) Write([]byte) (int, error) { return 0, errors.New("gone") }

// TestGofastEarlyResponse: the application responds and ends while the body still comes.
func TestGofastEarlyResponse(t *testing.T) {
	p := newPeer(t, "unix", func(c *peerConn) {
		c.id = 1
		c.records.Next()
		c.send(c.stdout("Status: 413 Content Too Large\r\n\r\n"), c.end(0, 0))
		c.wait()
	})
	stalled, upload := io.Pipe()
	wantHang(t, bare(t, p, t.Context(), &gofast.Request{Stdin: stalled}).done, func() { upload.Close() })

	body, upload := io.Pipe()
	defer upload.Close()
	s := newSite(t, Limits{}, nil, p)
	req, err := http.NewRequestWithContext(t.Context(), "POST", s.URL, body)
	if err != nil {
		t.Fatal(err)
	}
	req.ContentLength = 1 << 20
	go upload.Write([]byte("the beginning"))
	if resp, _, err := s.do(t, req); err != nil || resp.StatusCode != 413 {
		t.Errorf("%v, error %v", resp, err)
	}
}

// TestGofastCloseDuringUpload: the client is closed while the body is sent.
func TestGofastCloseDuringUpload(t *testing.T) {
	if out := inChild(t, func(t *testing.T) {
		p := newPeer(t, "unix", func(c *peerConn) { c.wait() })
		c, err := gofast.SimpleClientFactory(gofast.SimpleConnFactory("unix", p.Addr().String()))()
		if err != nil {
			t.Fatal(err)
		}
		stdin := &closing{c: c}
		c.Do(&gofast.Request{Raw: new(http.Request), Role: gofast.RoleResponder, Stdin: stdin})
		time.Sleep(testkit.Patience) // the process dies
	}); !strings.Contains(out, "nil pointer dereference") {
		t.Errorf("gofast does not crash any more: this defect is gone\n%s", out)
	}
	received := make(chan struct{})
	p := newPeer(t, "unix", func(c *peerConn) {
		for range 4 { // BEGIN_REQUEST, PARAMS, its end, STDIN
			c.records.Next()
		}
		close(received)
		c.wait()
	})
	s := newSite(t, Limits{}, nil, p)
	ctx, cancel := context.WithCancel(t.Context())
	req, err := http.NewRequestWithContext(ctx, "POST", s.URL, pattern{})
	if err != nil {
		t.Fatal(err)
	}
	req.ContentLength = 1 << 40
	go func() {
		<-received
		cancel()
	}()
	if _, err := s.Client().Do(req); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	testkit.Until(t, "the end of the request", func() bool { return s.app.Load().Running == 0 })
}

// A pattern is a body without end.
type pattern struct{}

func (pattern) Read(p []byte) (int, error) { return len(p), nil }

// A closing closes the client that reads it.
type closing struct{ c gofast.Client }

func (r *closing) Read(p []byte) (int, error) {
	r.c.Close()
	return len(p), nil
}

func (r *closing) Close() error { return nil }

// inChild runs f in a process of its own, which may crash, and returns what it printed.
func inChild(t *testing.T, f func(t *testing.T)) string {
	t.Helper()
	const inside = "GATEHOUSE_TEST_CHILD"
	if os.Getenv(inside) == t.Name() {
		f(t)
		os.Exit(0)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, "-test.run=^"+t.Name()+"$", "-test.timeout="+testkit.Patience.String())
	cmd.Env = append(os.Environ(), inside+"="+t.Name())
	out, _ := cmd.CombinedOutput()
	return string(out)
}

// TestGofastIDs: what comes late for one request goes to the next one.
func TestGofastIDs(t *testing.T) {
	p := newPeer(t, "unix", func(c *peerConn) {
		c.receive()
		c.respond("first")
		if _, _, err := c.receive(); err != nil {
			return
		}
		late := record.AppendStream(nil, record.Stdout, 1, []byte(head+"SECRET-OF-FIRST"))
		c.send(record.AppendEndRequest(late, 1, 0, 0))
		c.wait()
	})
	c, err := gofast.SimpleClientFactory(gofast.SimpleConnFactory("unix", p.Addr().String()))()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	<-bareOn(c, t.Context(), new(gofast.Request)).done
	r := bareOn(c, t.Context(), new(gofast.Request))
	if testkit.Receive(t, "the response", r.done); r.Body.String() != "SECRET-OF-FIRST" {
		t.Errorf("gofast's second response is %q: this defect is gone", r.Body.String())
	}
	s := newSite(t, Limits{Keep: 1}, nil, p)
	if _, body, _ := s.get(t, "GET", nil); body != "first" {
		t.Errorf("the body is %q", body)
	}
	if resp, body, _ := s.get(t, "GET", nil); resp.StatusCode != 502 || !strings.Contains(s.log.String(), "no such request") {
		t.Errorf("status %d, body %q\n%s", resp.StatusCode, body, &s.log)
	}
	// What has come behind the end of a response before the next request costs the connection.
	p = newPeer(t, "unix", func(c *peerConn) {
		for {
			if _, _, err := c.receive(); err != nil {
				return
			}
			c.send(c.stdout(head+"hello"), c.end(0, 0), c.stdout(head+"SECRET-OF-FIRST"), c.end(0, 0))
		}
	})
	s = newSite(t, Limits{Keep: 1}, nil, p)
	for range 3 {
		if _, body, _ := s.get(t, "GET", nil); body != "hello" {
			t.Errorf("the body is %q", body)
		}
	}
}

// TestGofastTruncated: the application dies in the middle of the body.
func TestGofastTruncated(t *testing.T) {
	p := newPeer(t, "unix", func(c *peerConn) {
		c.receive()
		c.send(c.stdout(head + text(50_000)))
	})
	r := bare(t, p, t.Context(), new(gofast.Request))
	if testkit.Receive(t, "the response", r.done); r.err != nil || r.Code != 200 {
		t.Errorf("gofast reports %v: this defect is gone", r.err)
	}
	if resp, body, err := newSite(t, Limits{}, nil, p).get(t, "GET", nil); err == nil {
		t.Errorf("status %d, %d bytes, and no error", resp.StatusCode, len(body))
	}
}

// TestGofastEndRequest: the application is overloaded.
func TestGofastEndRequest(t *testing.T) {
	p := newPeer(t, "unix", func(c *peerConn) {
		c.receive()
		c.send(c.end(0, record.Overloaded))
	})
	r := bare(t, p, t.Context(), new(gofast.Request))
	if testkit.Receive(t, "the response", r.done); r.Code != 500 {
		t.Errorf("gofast responds with %d: this defect is gone", r.Code)
	}
	if resp, _, _ := newSite(t, Limits{}, nil, p).get(t, "GET", nil); resp.StatusCode != 503 || resp.Header.Get("Retry-After") == "" {
		t.Errorf("status %d, %v", resp.StatusCode, resp.Header)
	}
}

// TestGofastErrors: an error of the connection is no complaint of the application's.
func TestGofastErrors(t *testing.T) {
	p := newPeer(t, "unix", func(c *peerConn) {})
	r := bare(t, p, t.Context(), &gofast.Request{Stdin: io.NopCloser(io.LimitReader(pattern{}, 10<<20))})
	if testkit.Receive(t, "the response", r.done); !strings.Contains(r.stderr.String(), "write unix") {
		t.Errorf("gofast's stderr is %q: this defect is gone", r.stderr.String())
	}
	s := newSite(t, Limits{}, nil, p)
	if resp, _, _ := s.get(t, "GET", nil); resp.StatusCode != 502 || strings.Contains(s.log.String(), "application stderr") {
		t.Errorf("status %d\n%s", resp.StatusCode, &s.log)
	}
}

// TestGofastKeepConn: the application is asked to keep a connection that nobody uses again.
func TestGofastKeepConn(t *testing.T) {
	flags := make(chan byte, 2)
	p := newPeer(t, "unix", func(c *peerConn) {
		_, content, err := c.records.Next()
		if err != nil {
			return
		}
		flags <- content[2]
		c.id = 1
		c.receive()
		c.respond("hello")
	})
	<-bare(t, p, t.Context(), new(gofast.Request)).done
	if f := <-flags; f != record.KeepConn {
		t.Errorf("gofast's flags are %d: this defect is gone", f)
	}
	newSite(t, Limits{}, nil, p).get(t, "GET", nil)
	if f := <-flags; f != 0 {
		t.Errorf("the flags are %d", f)
	}
}

// TestGofastPool: connections are left open, one after the other.
func TestGofastPool(t *testing.T) {
	var mu sync.Mutex
	open := 0
	count := func(n int) int {
		mu.Lock()
		defer mu.Unlock()
		open += n
		return open
	}
	serve := func(c *peerConn) {
		count(1)
		defer count(-1)
		hello(c)
	}
	if out := inChild(t, func(t *testing.T) {
		p := newPeer(t, "unix", serve)
		pool := gofast.NewClientPool(gofast.SimpleClientFactory(gofast.SimpleConnFactory("unix", p.Addr().String())), 2, time.Hour)
		for range 100 {
			c, err := pool.CreateClient()
			if err != nil {
				t.Fatal(err)
			}
			<-bareOn(c, t.Context(), new(gofast.Request)).done
			c.Close()
		}
		fmt.Println(count(0), "connections", runtime.NumGoroutine() > 10)
	}); !strings.Contains(out, "connections true") || strings.HasPrefix(out, "3 ") {
		t.Errorf("gofast's pool of two has %s: this defect is gone", out)
	}
	p := newPeer(t, "unix", serve)
	s := newSite(t, Limits{Keep: 2}, nil, p)
	for range 100 {
		s.get(t, "GET", nil)
	}
	if n := count(0); n > 2 {
		t.Errorf("%d connections are open", n)
	}
	s.app.Close()
	testkit.Until(t, "all are closed", func() bool { return count(0) == 0 })
}

// TestGofastStreams: the beginning of a body waits for 64 KiB of it.
func TestGofastStreams(t *testing.T) {
	stdin := make(chan string, 100)
	p := newPeer(t, "unix", func(c *peerConn) {
		c.id = 1
		for {
			h, content, err := c.records.Next()
			if err != nil {
				return
			}
			if h.Type() == record.Stdin && len(content) > 0 {
				stdin <- string(content)
			}
			if h.Type() == record.Stdin && len(content) == 0 {
				c.respond("hello")
			}
		}
	})
	body, upload := io.Pipe()
	r := bare(t, p, t.Context(), &gofast.Request{Stdin: body})
	upload.Write([]byte("the beginning"))
	select {
	case <-stdin:
		t.Error("gofast sends what it has: this defect is gone")
	case <-time.After(50 * time.Millisecond):
	}
	upload.Close()
	<-r.done
	<-stdin

	body, upload = io.Pipe()
	s := newSite(t, Limits{}, nil, p)
	req, err := http.NewRequestWithContext(t.Context(), "POST", s.URL, body)
	if err != nil {
		t.Fatal(err)
	}
	req.ContentLength = 100_000
	go func() {
		upload.Write([]byte("the beginning"))
		if got := testkit.Receive(t, "the beginning", stdin); got != "the beginning" {
			t.Errorf("got %q", got)
		}
		upload.Write(make([]byte, 100_000-13))
		upload.Close()
	}()
	if _, got, err := s.do(t, req); got != "hello" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
}

// TestGofastEmptyRead: a Read of no bytes without an error ends the body.
func TestGofastEmptyRead(t *testing.T) {
	bodies := make(chan string, 2)
	p := newPeer(t, "unix", func(c *peerConn) {
		_, body, _ := c.receive()
		bodies <- body
		c.respond("hello")
	})
	<-bare(t, p, t.Context(), &gofast.Request{Stdin: io.NopCloser(&hesitant{from: strings.NewReader("body")})}).done
	if got := <-bodies; got != "" {
		t.Errorf("gofast sends %q: this defect is gone", got)
	}
	h := func(c gofast.Client, req *gofast.Request) (*gofast.ResponsePipe, error) {
		req.Stdin = io.NopCloser(&hesitant{from: strings.NewReader("body")})
		req.Params["CONTENT_LENGTH"] = "4"
		return c.Do(req)
	}
	newSite(t, Limits{}, h, p).get(t, "GET", nil)
	if got := <-bodies; got != "body" {
		t.Errorf("the body is %q", got)
	}
}

// A hesitant reader returns nothing at first.
type hesitant struct {
	from io.Reader
	n    int
}

func (r *hesitant) Read(p []byte) (int, error) {
	if r.n++; r.n%2 == 1 {
		return 0, nil
	}
	return r.from.Read(p)
}

// TestGofastVariables: HTTP_PROXY is a client's, and cookies are joined by a comma.
func TestGofastVariables(t *testing.T) {
	all := make(chan map[string]string, 2)
	p := newPeer(t, "unix", func(c *peerConn) {
		vars, _, _ := c.receive()
		all <- vars
		c.respond("hello")
	})
	h := gofast.Chain(gofast.BasicParamsMap, gofast.MapHeader, gofast.MapRemoteHost)(gofast.BasicSession)
	req := httptest.NewRequest("GET", "http://localhost/", nil)
	req.Header = http.Header{"Proxy": {"http://evil/"}, "Cookie": {"a=1", "b=2"}}
	log.SetOutput(io.Discard) // gofast's
	defer log.SetOutput(os.Stderr)
	gofast.NewHandler(h, gofast.SimpleClientFactory(gofast.SimpleConnFactory("unix", p.Addr().String()))).ServeHTTP(httptest.NewRecorder(), req)
	if v := <-all; v["HTTP_PROXY"] == "" || v["HTTP_COOKIE"] != "a=1,b=2" {
		t.Errorf("gofast sends %q: this defect is gone", v)
	}
	s := newSite(t, Limits{}, h, p)
	(&Session{App: s.app, Handler: h}).ServeHTTP(httptest.NewRecorder(), req)
	if v := <-all; v["HTTP_PROXY"] != "" || v["HTTP_COOKIE"] != "a=1; b=2" || v["REQUEST_METHOD"] != "GET" {
		t.Errorf("sent were %q", v)
	}
}

// TestGofastAuthorizer: connections are never closed, and the values of variables are logged.
func TestGofastAuthorizer(t *testing.T) {
	p := newPeer(t, "unix", func(c *peerConn) {
		c.receive()
		c.send(c.stdout("Status: 200 OK\r\nVariable-REMOTE_USER: anna\r\n\r\n"), c.end(0, 0))
		c.wait()
	})
	var conn net.Conn
	factory := func() (c net.Conn, err error) {
		conn, err = net.Dial("unix", p.Addr().String())
		return conn, err
	}
	var logged bytes.Buffer
	log.SetOutput(&logged)
	defer log.SetOutput(os.Stderr)
	a := gofast.NewAuthorizer(gofast.SimpleClientFactory(factory), gofast.NewAuthPrepare()(gofast.BasicSession))
	a.Wrap(http.NotFoundHandler()).ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "http://localhost/", strings.NewReader("x")))
	if conn.Close() != nil || !strings.Contains(logged.String(), "v: anna") {
		t.Errorf("gofast has closed its connection, or logs %q: this defect is gone", logged.String())
	}

	app := newApp(t, Limits{}, p)
	var secret testkit.Log
	app.Log = secret.Logger()
	user := cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
		w.StartResponse("200 OK", nil)
		_, err := io.WriteString(w, r.Env.Get("REMOTE_USER"))
		return err
	})
	got, l := run(t, &Guard{Authorizer: app, App: user}, newRequest("GET", nil, "REMOTE_USER=eve"))
	wantOK(t, got, l, "anna")
	if strings.Contains(secret.String()+l.String(), "anna") {
		t.Error("the value of a variable is in the log")
	}
}

// TestGofastPaths: a path leads out of the root, or goes on behind a file.
func TestGofastPaths(t *testing.T) {
	dir := t.TempDir()
	root := filepath.Join(dir, "www")
	for _, name := range []string{"www/up/pic.gif", "www/page.php", "www-secret/x.php"} {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	files := make(chan string, 4)
	p := newPeer(t, "unix", func(c *peerConn) {
		vars, _, _ := c.receive()
		files <- vars["SCRIPT_FILENAME"]
		c.respond("hello")
	})
	h := gofast.NewPHPFS(root)(gofast.BasicSession)
	s := newSite(t, Limits{}, h, p)
	for _, tt := range []struct {
		path   string
		status int
	}{{"/../www-secret/x.php", 403}, {"/up/pic.gif/x.php", 404}, {"/page.php", 200}} {
		path, status := tt.path, tt.status
		req := httptest.NewRequest("GET", "http://localhost/", nil)
		req.URL.Path = path
		gofast.NewHandler(h, gofast.SimpleClientFactory(gofast.SimpleConnFactory("unix", p.Addr().String()))).ServeHTTP(httptest.NewRecorder(), req)
		if got, want := <-files, filepath.Join(root, path); got != want {
			t.Errorf("%s: gofast sends %s: this defect is gone", path, got)
		}
		w := httptest.NewRecorder()
		(&Session{App: s.app, Handler: h}).ServeHTTP(w, req)
		if w.Code != status {
			t.Errorf("%s: status %d, want %d", path, w.Code, status)
		}
	}
	if got := <-files; got != filepath.Join(root, "page.php") || len(files) > 0 {
		t.Errorf("sent was %s, and %d more", got, len(files))
	}
}

// TestGofastSilence: an application that says nothing is waited for without end.
func TestGofastSilence(t *testing.T) {
	p := newPeer(t, "unix", func(c *peerConn) { c.wait() })
	ctx, cancel := context.WithCancel(t.Context())
	wantHang(t, bare(t, p, ctx, new(gofast.Request)).done, cancel)
	if resp, _, _ := newSite(t, Limits{FirstByte: 20 * time.Millisecond}, nil, p).get(t, "GET", nil); resp.StatusCode != 504 {
		t.Errorf("status %d", resp.StatusCode)
	}
}

// TestGofastFilter: the role that gofast's middleware sends a file in.
func TestGofastFilter(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "page.txt"), []byte("file"), 0o644); err != nil {
		t.Fatal(err)
	}
	l := serve(t, "unix", cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
		w.StartResponse("200 OK", nil)
		fmt.Fprintf(w, "%v %s ", r.Role, r.Env.Get("FCGI_DATA_LENGTH"))
		_, err := io.Copy(w, r.Data)
		return err
	}))
	s := newSite(t, Limits{}, gofast.NewFilterLocalFS(dir)(gofast.BasicSession), l)
	req, err := http.NewRequestWithContext(t.Context(), "GET", s.URL+"/page.txt", nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, got, err := s.do(t, req); got != "filter 4 file" || err != nil {
		t.Errorf("%q, %v\n%s", got, err, &s.log)
	}
}

// TestGofastAllocations: a request with a client of gofast takes more memory.
func TestGofastAllocations(t *testing.T) {
	p := newPeer(t, "unix", hello)
	c, err := gofast.SimpleClientFactory(gofast.SimpleConnFactory("unix", p.Addr().String()))()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	theirs := allocated(func() { <-bareOn(c, t.Context(), new(gofast.Request)).done })
	a := newApp(t, Limits{Keep: 1}, p)
	h := &cgi.Handler{Log: slog.New(slog.DiscardHandler)}
	ours := allocated(func() {
		var got counter
		h.Run(newRequest("GET", nil), &got, a)
	})
	if ours > theirs/2 { // the race detector has pools drop things
		t.Errorf("%d bytes for a request, and %d with gofast", ours, theirs)
	}
}

// allocated returns how many bytes f takes, on average.
func allocated(f func()) uint64 {
	const runs = 100
	var before, after runtime.MemStats
	f()
	runtime.ReadMemStats(&before)
	for range runs {
		f()
	}
	runtime.ReadMemStats(&after)
	return (after.TotalAlloc - before.TotalAlloc) / runs
}
