package session

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/yookoala/gofast"

	"gatehouse/cgi"
	"gatehouse/cgi/cgitest"
	"gatehouse/fastcgi"
	"gatehouse/fastcgi/record"
	"gatehouse/fastcgi/upstream"
	"gatehouse/internal/testkit"
	"gatehouse/internal/testkit/peer"
)

// TestGofastStreams: the beginning of a body waits for 64 KiB of it.
func TestGofastStreams(t *testing.T) {
	stdin := make(chan string, 100)
	p := peer.New(t, "unix", func(c *peer.Conn) {
		c.ID = 1
		for {
			h, content, err := c.Records.Next()
			if err != nil {
				return
			}
			if h.Type() == record.Stdin && len(content) > 0 {
				stdin <- string(content)
			}
			if h.Type() == record.Stdin && len(content) == 0 {
				c.Respond("hello")
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
	s := newSite(t, upstream.Limits{}, nil, p)
	s.app.Streaming = true
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
	p := peer.New(t, "unix", func(c *peer.Conn) {
		_, body, _ := c.Receive()
		bodies <- body
		c.Respond("hello")
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
	newSite(t, upstream.Limits{}, h, p).get(t, "GET", nil)
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
	p := peer.New(t, "unix", func(c *peer.Conn) {
		vars, _, _ := c.Receive()
		all <- vars
		c.Respond("hello")
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
	s := newSite(t, upstream.Limits{}, h, p)
	(&Handler{App: s.app, Session: h}).ServeHTTP(httptest.NewRecorder(), req)
	if v := <-all; v["HTTP_PROXY"] != "" || v["HTTP_COOKIE"] != "a=1; b=2" || v["REQUEST_METHOD"] != "GET" {
		t.Errorf("sent were %q", v)
	}
}

// TestGofastAuthorizer: connections are never closed, and the values of variables are logged.
func TestGofastAuthorizer(t *testing.T) {
	p := peer.New(t, "unix", func(c *peer.Conn) {
		c.Receive()
		c.Send(c.Stdout("Status: 200 OK\r\nVariable-REMOTE_USER: anna\r\n\r\n"), c.End(0, 0))
		c.Wait()
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

	app := newApp(t, upstream.Limits{}, p)
	var secret testkit.Log
	app.Log = secret.Logger()
	user := cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
		w.StartResponse("200 OK", nil)
		_, err := io.WriteString(w, r.Env.Get("REMOTE_USER"))
		return err
	})
	var got cgitest.Recorder
	(&cgi.Handler{Log: secret.Logger()}).Run(newRequest("REMOTE_USER=eve"), &got, &upstream.Guard{Authorizer: app, App: user})
	if got.Head.Code != 200 || got.Body.String() != "anna" {
		t.Errorf("status %d, %q\n%s", got.Head.Code, got.Body.String(), &secret)
	}
	if strings.Contains(secret.String(), "anna") {
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
	p := peer.New(t, "unix", func(c *peer.Conn) {
		vars, _, _ := c.Receive()
		files <- vars["SCRIPT_FILENAME"]
		c.Respond("hello")
	})
	h := gofast.NewPHPFS(root)(gofast.BasicSession)
	s := newSite(t, upstream.Limits{}, h, p)
	for _, tt := range []struct {
		path   string
		status int
	}{{"/../www-secret/x.php", 400}, {"/up/pic.gif/x.php", 404}, {"/page.php", 200}} {
		path, status := tt.path, tt.status
		req := httptest.NewRequest("GET", "http://localhost/", nil)
		req.URL.Path = path
		gofast.NewHandler(h, gofast.SimpleClientFactory(gofast.SimpleConnFactory("unix", p.Addr().String()))).ServeHTTP(httptest.NewRecorder(), req)
		if got, want := <-files, filepath.Join(root, path); got != want {
			t.Errorf("%s: gofast sends %s: this defect is gone", path, got)
		}
		w := httptest.NewRecorder()
		(&Handler{App: s.app, Session: h}).ServeHTTP(w, req)
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
	p := peer.New(t, "unix", func(c *peer.Conn) { c.Wait() })
	ctx, cancel := context.WithCancel(t.Context())
	wantHang(t, bare(t, p, ctx, new(gofast.Request)).done, cancel)
	if resp, _, _ := newSite(t, upstream.Limits{FirstByte: 20 * time.Millisecond}, nil, p).get(t, "GET", nil); resp.StatusCode != 504 {
		t.Errorf("status %d", resp.StatusCode)
	}
}

// TestGofastFilter: the role that gofast's middleware sends a file in.
func TestGofastFilter(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "page.txt"), []byte("file"), 0o644); err != nil {
		t.Fatal(err)
	}
	l := testkit.Listen(t, "unix")
	testkit.Serve(t, &fastcgi.Server{Log: slog.New(slog.DiscardHandler), Filter: cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
		w.StartResponse("200 OK", nil)
		fmt.Fprintf(w, "%v %s ", r.Role, r.Env.Get("FCGI_DATA_LENGTH"))
		_, err := io.Copy(w, r.Data)
		return err
	})}, l, fastcgi.ErrServerClosed)
	s := newSite(t, upstream.Limits{}, gofast.NewFilterLocalFS(dir)(gofast.BasicSession), l)
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
	p := peer.New(t, "unix", peer.Hello)
	c, err := gofast.SimpleClientFactory(gofast.SimpleConnFactory("unix", p.Addr().String()))()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	theirs := allocated(func() { <-bareOn(c, t.Context(), new(gofast.Request)).done })
	a := newApp(t, upstream.Limits{Keep: 1}, p)
	h := &cgi.Handler{Log: slog.New(slog.DiscardHandler)}
	ours := allocated(func() {
		var got counter
		h.Run(newRequest(), &got, a)
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
