package deploy_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"gatehouse"
	"gatehouse/cgi"
	"gatehouse/cgi/script"
)

// A way is how a web server passes requests on: a path in one of the files in
// testdata/fastcgi. The first segment says whether connections are kept, the second
// is the network.
type way struct {
	path string

	// What the application gets to know when the client leaves: during its upload,
	// before the answer, and during the answer.
	upload, silent, endless bool
}

// exercises are the web servers with every way of testdata/fastcgi.
var exercises = []struct {
	front
	ways []way
}{
	{front{"nginx", startNginx, "testdata/fastcgi/nginx.conf"}, []way{
		{path: "/plain/unix", silent: true, endless: true},
		{path: "/plain/tcp", silent: true, endless: true},
		{path: "/kept/unix", silent: true, endless: true},
		{path: "/kept/tcp", silent: true, endless: true},
		{path: "/streamed/unix", upload: true, silent: true, endless: true},
		{path: "/streamed-kept/tcp", upload: true, silent: true, endless: true},
	}},
	{front{"Apache", startApache, "testdata/fastcgi/apache.conf"}, []way{
		{path: "/plain/unix"},
		{path: "/plain/tcp"},
		{path: "/kept/unix"},
		{path: "/kept/tcp"},
	}},
	{front{"lighttpd", startLighttpd, "testdata/fastcgi/lighttpd.conf"}, []way{
		{path: "/plain/unix"},
		{path: "/plain/tcp"},
		{path: "/streamed/unix", upload: true, endless: true},
		{path: "/streamed/tcp", upload: true, endless: true},
	}},
	{front{"Caddy", startCaddy, "testdata/fastcgi/Caddyfile"}, []way{
		{path: "/plain/unix", upload: true, endless: true},
		{path: "/plain/tcp", upload: true, endless: true},
	}},
	{front{"HAProxy", startHAProxy, "testdata/fastcgi/haproxy.cfg"}, []way{
		{path: "/plain/unix", upload: true, endless: true},
		{path: "/plain/tcp", upload: true, endless: true},
		{path: "/kept/unix", upload: true, endless: true},
		{path: "/kept/tcp", upload: true, endless: true},
		// Of a request that shares its connection HAProxy discards the answer.
		{path: "/shared-kept/unix", upload: true},
		{path: "/shared-kept/tcp", upload: true},
		{path: "/few-kept/tcp", upload: true},
	}},
}

// TestExchange passes all kinds of requests and answers through every way of every
// web server. Connections are kept where they are to be, and used again after each
// of these.
func TestExchange(t *testing.T) {
	e := newExercise()
	listeners := startExercise(t, e, exerciseSocket, exercisePort)
	for _, f := range exercises {
		t.Run(f.name, func(t *testing.T) {
			f.start(t, f.file)
			for _, w := range f.ways {
				t.Run(strings.TrimPrefix(w.path, "/"), func(t *testing.T) {
					protocol, network, _ := strings.Cut(strings.TrimPrefix(w.path, "/"), "/")
					listener := listeners[network]
					before := listener.accepted.Load()
					n := exchange(t, w.path)
					accepted := listener.accepted.Load() - before
					t.Logf("%d connections for %d requests", accepted, n)
					switch kept := strings.HasSuffix(protocol, "kept"); {
					case kept && accepted > n/2:
						t.Errorf("%d connections for %d requests: they are not kept", accepted, n)
					case !kept && accepted != n:
						t.Errorf("%d connections for %d requests; want one for each", accepted, n)
					}
					leave(t, e, w)
					wantEcho(t, w.path, 100)
				})
			}
		})
	}
}

// TestExchangeCaddyHTTP does the same over HTTP, with Caddy's file for it.
func TestExchangeCaddyHTTP(t *testing.T) {
	e, mux := newExercise(), new(cgi.Mux)
	programs := &script.App{Roots: []string{"/usr/lib/cgi-bin"}}
	t.Cleanup(func() { programs.Close() })
	if err := errors.Join(mux.Mount("/exercise", e), mux.Mount("/programs", programs)); err != nil {
		t.Fatal(err)
	}
	installProgram(t, "stream")
	l, err := net.Listen("tcp", "127.0.0.1:8080")
	if err != nil {
		t.Fatal(err)
	}
	listener := &counter{Listener: l}
	server := &gatehouse.Server{App: mux, Log: slog.New(slog.DiscardHandler),
		Endpoints: []gatehouse.Endpoint{{Protocol: gatehouse.HTTP, Listener: listener}}}
	served := make(chan error, 1)
	go func() { served <- server.Serve(context.Background()) }()
	t.Cleanup(func() {
		server.Close()
		<-served
	})
	startCaddy(t, "caddy/go-application-http.Caddyfile")
	if n := exchange(t, "/exercise"); listener.accepted.Load() > n/2 {
		t.Errorf("%d connections for %d requests: they are not kept", listener.accepted.Load(), n)
	}
	leave(t, e, way{path: "/exercise", silent: true})
	wantEcho(t, "/exercise", 100)
	wantStream(t, "/programs/stream")
}

// exchange makes requests of all kinds, at the path, and returns how many.
func exchange(t *testing.T, path string) (requests int64) {
	t.Helper()
	for range 3 {
		for _, n := range []int{0, 1, 4095, 70_000, 1 << 20} {
			wantEcho(t, path, n)
			requests++
		}
	}

	// Several at a time.
	const clients, each = 8, 10
	done := make(chan struct{})
	for i := range clients {
		go func() {
			defer func() { done <- struct{}{} }()
			for j := range each {
				wantEcho(t, path, 1000*i+j)
			}
		}()
	}
	for range clients {
		<-done
	}
	requests += clients * each

	// A large answer.
	const size = 5<<20 + 1
	if got := exercisePage(t, "GET", path, "large", size, ""); got.status != http.StatusOK || got.body != large(size) {
		t.Errorf("large: status %d, %d bytes; want 200 and %d", got.status, len(got.body), size)
	}
	requests++

	// Answers without a body, and each time the next one after it.
	for _, x := range []struct {
		method, page string
		n, status    int
	}{
		{"HEAD", "large", 100_000, 200}, {"HEAD", "echo", 0, 200},
		{"GET", "status", 204, 204}, {"GET", "status", 304, 304}, {"HEAD", "status", 204, 204}, {"POST", "status", 204, 204},
	} {
		if got := exercisePage(t, x.method, path, x.page, x.n, ""); got.status != x.status || got.body != "" {
			t.Errorf("%s %s %d: status %d, body %.20q; want %d without a body", x.method, x.page, x.n, got.status, got.body, x.status)
		}
		wantEcho(t, path, 10)
		requests += 2
	}

	// An answer that the body does not have to be read for.
	for _, n := range []int{10, 100_000, 3 << 20} {
		if got := exercisePage(t, "POST", path, "refused", 0, large(n)); got.status != http.StatusRequestEntityTooLarge || got.body != "too large\n" {
			t.Errorf("refused with %d bytes: status %d, body %.50q; want 413", n, got.status, got.body)
		}
		wantEcho(t, path, 10)
		requests += 2
	}

	// A field that asks the web server for a file: nobody turned that on.
	if got := exercisePage(t, "GET", path, "sendfile", 0, ""); got.status != http.StatusOK || got.body != "" {
		t.Errorf("sendfile: status %d, body %.50q; want none", got.status, got.body)
	}
	return requests + 1
}

// exercisePage gets a page of exercise, on the path.
func exercisePage(t *testing.T, method, path, name string, n int, body string) page {
	t.Helper()
	var reader io.Reader
	if body != "" {
		reader = strings.NewReader(body)
	}
	request, err := http.NewRequest(method, fmt.Sprintf("http://localhost%s?page=%s&n=%d", path, name, n), reader)
	if err != nil {
		t.Error(err)
		return page{}
	}
	ask := fetch
	if name == "refused" {
		ask = fetchUnread
	}
	got, err := ask(t, request)
	if err != nil {
		t.Errorf("%s %s: %v after %d bytes", method, request.URL, err, len(got.body))
	}
	return got
}

// wantEcho sends a body of n bytes and checks that it comes back.
func wantEcho(t *testing.T, path string, n int) {
	t.Helper()
	if got := exercisePage(t, "POST", path, "echo", 0, large(n)); got.status != http.StatusOK || got.body != large(n) {
		t.Errorf("echo of %d bytes: status %d, %d bytes (%.50q)", n, got.status, len(got.body), got.body)
	}
}

// leave is a client that leaves: during its upload, before the answer, and in its
// middle. The application gets to know as far as the way lets it.
func leave(t *testing.T, e *exercise, w way) {
	t.Helper()
	if w.upload {
		conn := send(t, fmt.Sprintf("POST %s?page=upload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n%s", w.path, large(100_000)))
		wait(t, "the upload", e.begun)
		conn.Close()
		wantAborted(t, "upload", e)
	}
	if w.silent {
		conn := send(t, fmt.Sprintf("GET %s?page=silent HTTP/1.1\r\nHost: localhost\r\n\r\n", w.path))
		wait(t, "the request", e.begun)
		conn.Close()
		wantAborted(t, "silent", e)
	}
	if w.endless {
		conn := send(t, fmt.Sprintf("GET %s?page=endless HTTP/1.1\r\nHost: localhost\r\n\r\n", w.path))
		if _, err := io.CopyN(io.Discard, conn, 1<<20); err != nil {
			t.Errorf("endless: %v", err)
		}
		conn.Close()
		wantAborted(t, "endless", e)
	}
}

func wantAborted(t *testing.T, page string, e *exercise) {
	t.Helper()
	if err := wait(t, "the end of "+page, e.ended); !errors.Is(err, cgi.ErrAborted) {
		t.Errorf("%s ended with %v; want an abort", page, err)
	}
}

// send connects to port 80 and sends something.
func send(t *testing.T, request string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", "127.0.0.1:80")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	return conn
}

// wait waits for what comes on a channel.
func wait[T any](t *testing.T, what string, from <-chan T) (v T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	select {
	case v = <-from:
	case <-ctx.Done():
		t.Fatalf("%s does not come", what)
	}
	return v
}
