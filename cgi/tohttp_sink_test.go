package cgi

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"
)

func TestToHTTPFraming(t *testing.T) {
	for _, c := range []struct {
		name   string
		method string
		app    AppFunc
		want   []string
		end    string
	}{
		{"held as a whole", "GET", answer("200 OK", []string{"X: y"}, "hello"),
			[]string{"HTTP/1.1 200 OK\r\n", "Content-Length: 5\r\n", "X: y\r\n", "Date: "}, "\r\n\r\nhello"},
		{"204", "GET", answer("204 No Content", []string{"Content-Length: 3"}, "xyz"), []string{"HTTP/1.1 204 No Content\r\n"}, "\r\n\r\n"},
		{"304", "GET", answer("304 Not Modified", nil, ""), []string{"HTTP/1.1 304 Not Modified\r\n"}, "\r\n\r\n"},
		{"HEAD", "HEAD", answer("200 OK", []string{"Content-Length: 12345"}, ""), []string{"Content-Length: 12345\r\n"}, "\r\n\r\n"},
		{"streamed", "GET", func(w ResponseWriter, r *Request) error {
			w.StartResponse("200 OK", nil)
			io.WriteString(w, "hello")
			return w.Flush()
		}, []string{"Transfer-Encoding: chunked\r\n"}, "\r\n5\r\nhello\r\n0\r\n\r\n"},
		{"an error page", "GET", func(ResponseWriter, *Request) error { return &StatusError{Code: 503, RetryAfter: time.Second} },
			[]string{"HTTP/1.1 503 Service Unavailable\r\n", "Retry-After: 1\r\n"}, "\r\n\r\n503 Service Unavailable\n"},
		{"broken off while streamed", "GET", func(w ResponseWriter, r *Request) error {
			w.StartResponse("200 OK", nil)
			io.WriteString(w, "hello")
			w.Flush()
			return errors.New("gone wrong")
		}, []string{"Transfer-Encoding: chunked\r\n"}, "\r\n5\r\nhello\r\n"},
		{"shorter than declared", "GET", answer("200 OK", []string{"Content-Length: 9"}, "hello"), []string{"Content-Length: 9\r\n"}, "\r\n\r\nhello"},
		{"broken off before the head", "GET", func(ResponseWriter, *Request) error { panic(http.ErrAbortHandler) }, nil, ""},
	} {
		url, _ := start(t, c.app, Limits{})
		got := raw(t, url, strings.Replace(getAndClose, "GET", c.method, 1))
		head, _, _ := strings.Cut(got, "\r\n\r\n")
		for _, line := range c.want {
			if !strings.Contains(head+"\r\n", line) {
				t.Errorf("%s: no %q in %q", c.name, line, got)
			}
		}
		if !strings.HasSuffix(got, c.end) || c.want == nil && got != "" {
			t.Errorf("%s: %q does not end in %q", c.name, got, c.end)
		}
		if strings.Contains(head, "Content-Type") != (c.name == "an error page") {
			t.Errorf("%s: a type that the application did not give: %q", c.name, head)
		}
		if strings.Contains(c.name, "204") && strings.Contains(head, "Content-Length") {
			t.Errorf("%s: %q", c.name, head)
		}
	}
}

func TestToHTTPInformational(t *testing.T) {
	url, _ := start(t, AppFunc(func(w ResponseWriter, r *Request) error {
		if err := WriteInformational(w, 103, []Field{{"Link", "</x>"}}); err != nil {
			t.Error(err)
		}
		if err := WriteInformational(w, 103, []Field{{"Link", "\n"}}); !errors.Is(err, ErrField) {
			t.Errorf("a bad field: %v", err)
		}
		if err := WriteInformational(w, 101, nil); err != http.ErrNotSupported {
			t.Errorf("101: %v", err)
		}
		w.StartResponse("200 OK", nil)
		w.Flush()
		if err := WriteInformational(w, 103, nil); err != ErrHeadersSent {
			t.Errorf("after the head: %v", err)
		}
		return nil
	}), Limits{})
	got := raw(t, url, getAndClose)
	if !strings.HasPrefix(got, "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 200 OK\r\n") || strings.Count(got, "Link") != 1 {
		t.Errorf("got %q", got)
	}
}

func TestToHTTPDeadlines(t *testing.T) {
	url, _ := start(t, FromHTTP(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := http.NewResponseController(w)
		if err := c.SetReadDeadline(time.Unix(1, 0)); err != nil {
			t.Error(err)
		}
		var ne net.Error
		if _, err := io.ReadAll(r.Body); !errors.As(err, &ne) || !ne.Timeout() {
			t.Errorf("Read = %v", err)
		}
		if err := c.SetWriteDeadline(time.Unix(1, 0)); err != nil {
			t.Error(err)
		}
		fmt.Fprint(w, "x")
		if err := c.Flush(); !errors.As(err, &ne) || !ne.Timeout() {
			t.Errorf("Flush = %v", err)
		}
	})), Limits{Linger: time.Millisecond})
	if got := raw(t, url, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nhalf"); got != "" {
		t.Errorf("got %q", got)
	}
}

// A client that takes nothing loses its connection.
func TestToHTTPWriteLimit(t *testing.T) {
	result := make(chan error, 1)
	url, log := start(t, AppFunc(func(w ResponseWriter, r *Request) error {
		w.StartResponse("200 OK", nil)
		block := make([]byte, 1<<20)
		for {
			if _, err := w.Write(block); err != nil {
				result <- err
				return err
			}
		}
	}), Limits{Write: 50 * time.Millisecond})
	c, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	io.WriteString(c, getAndClose)
	var ne net.Error
	if err := <-result; !errors.As(err, &ne) || !ne.Timeout() {
		t.Errorf("Write = %v", err)
	}
	waitFor(t, log, "the client took nothing for 50ms (write)")
}

// A deadlineRecorder is an http.ResponseWriter that keeps its deadlines.
type deadlineRecorder struct {
	http.ResponseWriter
	read, write []time.Time
}

func (*deadlineRecorder) Header() http.Header         { return make(http.Header) }
func (*deadlineRecorder) Write(p []byte) (int, error) { return len(p), nil }
func (*deadlineRecorder) WriteHeader(int)             {}

func (d *deadlineRecorder) SetReadDeadline(t time.Time) error {
	d.read = append(d.read, t)
	return nil
}

func (d *deadlineRecorder) SetWriteDeadline(t time.Time) error {
	d.write = append(d.write, t)
	return nil
}

// A deadline that is left behind ends an HTTP/2 stream that sends nothing.
func TestToHTTPRestsBetweenWrites(t *testing.T) {
	for _, shared := range []bool{false, true} {
		d := new(deadlineRecorder)
		s := &httpSink{w: d, control: http.NewResponseController(d), write: time.Minute, shared: shared}
		for name, send := range map[string]func(){
			"head":          func() { s.WriteHead(&Head{Code: 200}) },
			"body":          func() { s.Write([]byte("x")) },
			"flush":         func() { s.Flush() },
			"informational": func() { s.WriteInformational(103, nil) },
		} {
			d.write = nil
			send()
			if len(d.write) == 0 || d.write[0].IsZero() {
				t.Errorf("%s: not held to a limit: %v", name, d.write)
			} else if d.write[len(d.write)-1].IsZero() != shared {
				t.Errorf("%s, shared %v: the deadlines are %v", name, shared, d.write)
			}
		}
	}
}

// net/http cancels a request's context when reading its body meets a deadline. That is
// no client that has gone.
func TestToHTTPDeadlineIsNoAbort(t *testing.T) {
	for name, fail := range map[string]error{"deadline": os.ErrDeadlineExceeded, "reset": io.ErrUnexpectedEOF} {
		parent, cancel := context.WithCancel(context.Background())
		d := new(deadlineRecorder)
		body := newHTTPBody(iotest.ErrReader(fail), http.NewResponseController(d), Limits{}.WithDefaults())
		source := &httpContext{parent: parent, body: body}
		ctx := source.RequestContext()
		source.stop() // parentDone is called here
		body.Read(make([]byte, 1))
		cancel()
		source.parentDone()
		if gone := ctx.Err() != nil; gone != (name == "reset") {
			t.Errorf("%s: the context's cause is %v", name, context.Cause(ctx))
		}
		source.finish()
		body.detach()
	}
}

// A body that panics, as a middleware's may, leaves nothing that waits for it.
func TestToHTTPBodyPanics(t *testing.T) {
	app := (&Handler{Log: quiet}).HTTP(AppFunc(func(w ResponseWriter, r *Request) error {
		w.StartResponse("200 OK", nil)
		return w.Flush()
	}), Limits{})
	r := httptest.NewRequest("POST", "/", io.NopCloser(readFunc(func([]byte) (int, error) { panic(http.ErrAbortHandler) })))
	defer func() {
		if p := recover(); p != http.ErrAbortHandler {
			t.Errorf("it panics with %v", p)
		}
	}()
	app.ServeHTTP(httptest.NewRecorder(), r)
}

// A Flush that waits for the body ends when the body is closed, and when the handler
// that left it behind has ended.
func TestFromHTTPFlushEndsWithTheBody(t *testing.T) {
	reading := make(chan struct{}, 1)
	var left sync.WaitGroup
	defer left.Wait()
	for name, h := range map[string]http.HandlerFunc{
		"closed": func(w http.ResponseWriter, r *http.Request) {
			left.Go(func() {
				<-reading
				r.Body.Close()
			})
			w.(http.Flusher).Flush()
		},
		"left behind": func(w http.ResponseWriter, r *http.Request) {
			left.Go(func() { w.(http.Flusher).Flush() })
			<-reading
		},
	} {
		t.Run(name, func(t *testing.T) {
			r, w := io.Pipe()
			defer w.Close()
			body := struct {
				io.Reader
				io.Closer
			}{readFunc(func(p []byte) (int, error) {
				reading <- struct{}{}
				return r.Read(p)
			}), r}
			res := (&Handler{Log: quiet}).Run(&Request{Env: NewEnviron("REQUEST_METHOD=POST", "SERVER_PROTOCOL=HTTP/1.1", "SCRIPT_NAME=", "PATH_INFO=/"),
				ContentLength: 5, Body: body}, new(textSink), FromHTTP(h))
			if res.End != Complete || res.Code != 200 {
				t.Errorf("%v, %v", res.End, res.Err)
			}
		})
	}
}
