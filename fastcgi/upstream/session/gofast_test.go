package session

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/yookoala/gofast"

	"gatehouse/fastcgi/record"
	"gatehouse/fastcgi/upstream"
	"gatehouse/internal/testkit"
	"gatehouse/internal/testkit/peer"
)

// TestGofastHead: a line of a head that is long, or is no field.
func TestGofastHead(t *testing.T) {
	for _, tt := range []struct {
		head   string
		status int
	}{
		{"X-Policy: " + strings.Repeat("x", 1500) + "\r\n" + peer.Head, 200},
		{"no field\r\n" + peer.Head + peer.Text(5000), 502},
	} {
		p := peer.New(t, "unix", func(c *peer.Conn) {
			c.Receive()
			c.Send(c.Stdout(tt.head+"hello"), c.End(0, 0))
			c.Wait()
		})
		ctx, cancel := context.WithCancel(t.Context())
		wantHang(t, bare(t, p, ctx, new(gofast.Request)).done, cancel)
		if resp, body, err := newSite(t, upstream.Limits{}, nil, p).get(t, "GET", nil); err != nil || resp.StatusCode != tt.status || tt.status == 200 && body != "hello" {
			t.Errorf("status %d, body %q, error %v; want %d", resp.StatusCode, body, err, tt.status)
		}
	}
}

// TestGofastClientGone: the client has gone, and the application goes on writing.
func TestGofastClientGone(t *testing.T) {
	ended := make(chan error, 2)
	p := peer.New(t, "unix", func(c *peer.Conn) {
		c.Receive()
		err := c.Send(c.Stdout(peer.Head))
		for b := c.Stdout(peer.Text(60_000)); err == nil; {
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

	s := newSite(t, upstream.Limits{}, nil, p)
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
	p := peer.New(t, "unix", func(c *peer.Conn) {
		c.ID = 1
		c.Records.Next()
		c.Send(c.Stdout("Status: 413 Content Too Large\r\n\r\n"), c.End(0, 0))
		c.Wait()
	})
	stalled, upload := io.Pipe()
	wantHang(t, bare(t, p, t.Context(), &gofast.Request{Stdin: stalled}).done, func() { upload.Close() })

	body, upload := io.Pipe()
	defer upload.Close()
	s := newSite(t, upstream.Limits{}, nil, p)
	s.app.Streaming = true
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
		p := peer.New(t, "unix", func(c *peer.Conn) { c.Wait() })
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
	p := peer.New(t, "unix", func(c *peer.Conn) {
		for range 4 { // BEGIN_REQUEST, PARAMS, its end, STDIN
			c.Records.Next()
		}
		close(received)
		c.Wait()
	})
	s := newSite(t, upstream.Limits{}, nil, p)
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

// TestGofastIDs: what comes late for one request goes to the next one.
func TestGofastIDs(t *testing.T) {
	p := peer.New(t, "unix", func(c *peer.Conn) {
		c.Receive()
		c.Respond("first")
		if _, _, err := c.Receive(); err != nil {
			return
		}
		late := record.AppendStream(nil, record.Stdout, 1, []byte(peer.Head+"SECRET-OF-FIRST"))
		c.Send(record.AppendEndRequest(late, 1, 0, 0))
		c.Wait()
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
	s := newSite(t, upstream.Limits{Keep: 1}, nil, p)
	if _, body, _ := s.get(t, "GET", nil); body != "first" {
		t.Errorf("the body is %q", body)
	}
	if resp, body, _ := s.get(t, "GET", nil); resp.StatusCode != 502 || !strings.Contains(s.log.String(), "no such request") {
		t.Errorf("status %d, body %q\n%s", resp.StatusCode, body, &s.log)
	}
	// What has come behind the end of a response before the next request costs the connection.
	p = peer.New(t, "unix", func(c *peer.Conn) {
		for {
			if _, _, err := c.Receive(); err != nil {
				return
			}
			c.Send(c.Stdout(peer.Head+"hello"), c.End(0, 0), c.Stdout(peer.Head+"SECRET-OF-FIRST"), c.End(0, 0))
		}
	})
	s = newSite(t, upstream.Limits{Keep: 1}, nil, p)
	for range 3 {
		if _, body, _ := s.get(t, "GET", nil); body != "hello" {
			t.Errorf("the body is %q", body)
		}
	}
}

// TestGofastTruncated: the application dies in the middle of the body.
func TestGofastTruncated(t *testing.T) {
	p := peer.New(t, "unix", func(c *peer.Conn) {
		c.Receive()
		c.Send(c.Stdout(peer.Head + peer.Text(50_000)))
	})
	r := bare(t, p, t.Context(), new(gofast.Request))
	if testkit.Receive(t, "the response", r.done); r.err != nil || r.Code != 200 {
		t.Errorf("gofast reports %v: this defect is gone", r.err)
	}
	if resp, body, err := newSite(t, upstream.Limits{}, nil, p).get(t, "GET", nil); err == nil {
		t.Errorf("status %d, %d bytes, and no error", resp.StatusCode, len(body))
	}
}

// TestGofastEndRequest: the application is overloaded.
func TestGofastEndRequest(t *testing.T) {
	p := peer.New(t, "unix", func(c *peer.Conn) {
		c.Receive()
		c.Send(c.End(0, record.Overloaded))
	})
	r := bare(t, p, t.Context(), new(gofast.Request))
	if testkit.Receive(t, "the response", r.done); r.Code != 500 {
		t.Errorf("gofast responds with %d: this defect is gone", r.Code)
	}
	if resp, _, _ := newSite(t, upstream.Limits{}, nil, p).get(t, "GET", nil); resp.StatusCode != 503 || resp.Header.Get("Retry-After") == "" {
		t.Errorf("status %d, %v", resp.StatusCode, resp.Header)
	}
}

// TestGofastErrors: an error of the connection is no complaint of the application's.
func TestGofastErrors(t *testing.T) {
	p := peer.New(t, "unix", func(c *peer.Conn) {})
	r := bare(t, p, t.Context(), &gofast.Request{Stdin: io.NopCloser(io.LimitReader(pattern{}, 10<<20))})
	if testkit.Receive(t, "the response", r.done); !strings.Contains(r.stderr.String(), "write unix") {
		t.Errorf("gofast's stderr is %q: this defect is gone", r.stderr.String())
	}
	s := newSite(t, upstream.Limits{}, nil, p)
	if resp, _, _ := s.get(t, "GET", nil); resp.StatusCode != 502 || strings.Contains(s.log.String(), "application stderr") {
		t.Errorf("status %d\n%s", resp.StatusCode, &s.log)
	}
}

// TestGofastKeepConn: the application is asked to keep a connection that nobody uses again.
func TestGofastKeepConn(t *testing.T) {
	flags := make(chan byte, 2)
	p := peer.New(t, "unix", func(c *peer.Conn) {
		_, content, err := c.Records.Next()
		if err != nil {
			return
		}
		flags <- content[2]
		c.ID = 1
		c.Receive()
		c.Respond("hello")
	})
	<-bare(t, p, t.Context(), new(gofast.Request)).done
	if f := <-flags; f != record.KeepConn {
		t.Errorf("gofast's flags are %d: this defect is gone", f)
	}
	newSite(t, upstream.Limits{}, nil, p).get(t, "GET", nil)
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
	serve := func(c *peer.Conn) {
		count(1)
		defer count(-1)
		peer.Hello(c)
	}
	if out := inChild(t, func(t *testing.T) {
		p := peer.New(t, "unix", serve)
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
	p := peer.New(t, "unix", serve)
	s := newSite(t, upstream.Limits{Keep: 2}, nil, p)
	for range 100 {
		s.get(t, "GET", nil)
	}
	if n := count(0); n > 2 {
		t.Errorf("%d connections are open", n)
	}
	s.app.Close()
	testkit.Until(t, "all are closed", func() bool { return count(0) == 0 })
}
