package cgi

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestHandlerOptions: the hooks of a Handler that no case of wsgiref's tests uses.
func TestHandlerOptions(t *testing.T) {
	get := func() *Request { return &Request{Env: NewEnviron("REQUEST_METHOD=GET")} }
	t.Run("CleanupHeaders", func(t *testing.T) {
		h := &Handler{CleanupHeaders: func(r *Request, code int, h *Headers) {
			h.Set("X-Code", strconv.Itoa(code))
			h.Del("X-Powered-By")
		}}
		serveWith(t, h, get(), starts("200 OK", Field{"X-Powered-By", "me"})).
			want(t, Complete, "Status: 200 OK\r\nX-Code: 200\r\nContent-Length: 0\r\n\r\n")
	})
	t.Run("CleanupHeaders that fails", func(t *testing.T) {
		for name, spoil := range map[string]func(*Headers){
			"panics":             func(*Headers) { panic("no fields") },
			"a bad length":       func(h *Headers) { h.Set("Content-Length", "some") },
			"too short a length": func(h *Headers) { h.Set("Content-Length", "5") },
			"too long a length":  func(h *Headers) { h.Set("Content-Length", "500") },
		} {
			h := &Handler{CleanupHeaders: func(r *Request, code int, h *Headers) {
				if code == 500 || name == "panics" {
					spoil(h)
				}
			}}
			r := serveWith(t, h, get(), AppFunc(func(w ResponseWriter, r *Request) error {
				if err := w.StartResponse("200 OK", nil); err != nil {
					return err
				}
				return errors.New("broken")
			}))
			if r.want(t, Complete, errorPage500); !strings.Contains(r.log.String(), "the error page cannot be sent") {
				t.Errorf("%s: log %q", name, r.log)
			}
		}
	})
	t.Run("NoContentLength", func(t *testing.T) {
		h := &Handler{NoContentLength: true}
		serveWith(t, h, get(), yields("data")).want(t, Complete, "Status: 200 OK\r\n\r\ndata")
		serveWith(t, h, get(), answer("200 OK", nil, "data")).want(t, Complete, "Status: 200 OK\r\n\r\ndata")
		// Nor is there finish_content's "0".
		serveWith(t, h, get(), starts("200 OK")).want(t, Complete, "Status: 200 OK\r\n\r\n")
		long := strings.Repeat("x", 2*bufferedBytes)
		serveWith(t, h, get(), yields(long)).want(t, Complete, "Status: 200 OK\r\n\r\n"+long)
		serveWith(t, h, get(), starts("200 OK", Field{"Content-Length", "0"})).want(t, Complete, "Status: 200 OK\r\nContent-Length: 0\r\n\r\n")
	})
	t.Run("SendFile", func(t *testing.T) {
		for _, sends := range []bool{false, true} {
			h := &Handler{SendFile: func(w ResponseWriter, f *File) (bool, error) {
				if !sends {
					return false, nil
				}
				_, err := io.WriteString(w, "sent")
				return true, err
			}}
			file := &countedFile{Reader: strings.NewReader("read")}
			r := serveWith(t, h, get(), returns(&File{R: file}))
			if want := map[bool]string{false: "\r\n\r\nread", true: "\r\n\r\nsent"}[sends]; !strings.HasSuffix(r.sink.String(), want) || file.closed != 1 {
				t.Errorf("got %q, closed %d times", r.sink.String(), file.closed)
			}
		}
	})
	t.Run("SendFile that fails", func(t *testing.T) {
		broken := errors.New("broken")
		part := func(flush bool, sent bool, err error) func(ResponseWriter, *File) (bool, error) {
			return func(w ResponseWriter, f *File) (bool, error) {
				io.WriteString(w, "part")
				if flush {
					w.Flush()
				}
				return sent, err
			}
		}
		const head = "Status: 200 OK\r\n\r\n"
		for name, c := range map[string]struct {
			send func(ResponseWriter, *File) (bool, error)
			end  End
			out  string
			text string
		}{
			"before the head":     {part(false, true, broken), Complete, errorPage500, "broken"},
			"and says it has not": {part(false, false, broken), Complete, errorPage500, "broken"},
			"after the head":      {part(true, true, broken), Truncated, head + "part", "broken"},
			"not, but has lied":   {part(true, false, nil), Truncated, head + "part", "SendFile"},
			"panics":              {func(ResponseWriter, *File) (bool, error) { panic("overboard") }, Complete, errorPage500, "overboard"},
		} {
			file := &countedFile{Reader: strings.NewReader("read")}
			r := serveWith(t, &Handler{SendFile: c.send}, get(), returns(&File{R: file}))
			r.want(t, c.end, c.out)
			if file.closed != 1 || r.result.Err == nil || !strings.Contains(r.result.Err.Error(), c.text) {
				t.Errorf("%s: closed %d times, error %v", name, file.closed, r.result.Err)
			}
		}
	})
	t.Run("SendFile before the start", func(t *testing.T) {
		h := &Handler{SendFile: func(ResponseWriter, *File) (bool, error) {
			t.Error("SendFile is called")
			return true, nil
		}}
		app := WSGI(func(*Environ, StartResponse) (Body, error) { return &File{R: strings.NewReader("x")}, nil })
		serveWith(t, h, get(), app).want(t, Complete, errorPage500)
	})
	t.Run("LogError", func(t *testing.T) {
		var got error
		var stack []byte
		h := &Handler{StackLimit: 1, LogError: func(r *Request, err error, s []byte) { got, stack = err, s }}
		r := serveWith(t, h, get(), AppFunc(func(ResponseWriter, *Request) error {
			panicsHere()
			return nil
		}))
		if r.log.Len() > 0 || got == nil || !strings.Contains(got.Error(), "overboard") {
			t.Errorf("log %q, error %v", r.log, got)
		}
		if !bytes.Contains(stack, []byte("panicsHere")) || bytes.Count(stack, []byte("\n")) != 3 {
			t.Errorf("the stack is %q", stack)
		}
		wantNone := errors.New("plain")
		serveWith(t, h, get(), AppFunc(func(ResponseWriter, *Request) error { return wantNone }))
		if got != wantNone || stack != nil {
			t.Errorf("error %v, stack %q", got, stack)
		}

		// A client that leaves is no failure, but a panic is one, also then.
		got = nil
		r = serveWith(t, h, get(), AppFunc(func(ResponseWriter, *Request) error { return ErrAborted }))
		if got != nil || !strings.Contains(r.log.String(), "client gone") {
			t.Errorf("error %v, log %q", got, r.log)
		}
		h.Run(get(), &textSink{failing: syscall.EPIPE}, AppFunc(func(w ResponseWriter, r *Request) error {
			w.StartResponse("200 OK", nil)
			io.WriteString(w, "x")
			w.Flush()
			panicsHere()
			return nil
		}))
		if got == nil || !strings.Contains(got.Error(), "overboard") || len(stack) == 0 {
			t.Errorf("error %v, stack %q", got, stack)
		}
	})
	t.Run("BaseEnv", func(t *testing.T) {
		// In a CGI program the process's environment has the client's header, too.
		h := &Handler{BaseEnv: NewEnviron("HTTP_PROXY=http://evil", "REQUEST_METHOD=HEAD", "A=base")}
		r := &Request{Env: NewEnviron("A=request")}
		serveWith(t, h, r, yields("data")).want(t, Complete, "Status: 200 OK\r\nContent-Length: 4\r\n\r\n")
		if got := strings.Join(r.Env.Strings(), " "); got != "A=request REQUEST_METHOD=HEAD REQUEST_ID="+r.RequestID() {
			t.Errorf("the variables are %s", got)
		}
		if h.BaseEnv.Len() != 3 {
			t.Errorf("BaseEnv is changed: %v", h.BaseEnv.Strings())
		}
	})
	t.Run("Scheme", func(t *testing.T) {
		h := &Handler{Scheme: func(*Environ) string { panic("overboard") }}
		called := false
		r := serveWith(t, h, get(), AppFunc(func(ResponseWriter, *Request) error {
			called = true
			return nil
		}))
		if r.want(t, Complete, errorPage500); called || !strings.Contains(r.log.String(), "overboard") {
			t.Errorf("called %v, log %q", called, r.log)
		}
	})
	t.Run("OriginServer and an error", func(t *testing.T) {
		h := &Handler{OriginServer: true, Now: func() time.Time { return time.Unix(0, 0) }, ServerSoftware: "s"}
		fails := WSGI(func(*Environ, StartResponse) (Body, error) { return nil, errors.New("test") })
		for protocol, head := range map[string]string{
			"HTTP/0.9": "",
			"HTTP/1.0": "HTTP/1.0 500 Internal Server Error\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\nServer: s\r\n" +
				"Content-Type: text/plain\r\nContent-Length: 59\r\n\r\n",
		} {
			r := serveWith(t, h, &Request{Env: NewEnviron("SERVER_PROTOCOL=" + protocol)}, fails)
			r.want(t, Complete, head+serverError)
			if r.result.Code != 500 {
				t.Errorf("%s: code %d", protocol, r.result.Code)
			}
		}
	})
	t.Run("ErrorOutput and the request", func(t *testing.T) {
		// The rest of a body that is half read is gone; Stderr still works.
		h := &Handler{ErrorOutput: func(w ResponseWriter, r *Request, err error) error {
			_, read := r.Body.Read(make([]byte, 1))
			if err := w.StartResponse("500 Sorry", nil); err != nil {
				return err
			}
			if _, err := io.WriteString(r.Stderr, "a complaint"); err != nil {
				return err
			}
			_, werr := fmt.Fprintf(w, "%v, %v", err, read)
			return werr
		}}
		var late io.Writer
		req := &Request{Env: NewEnviron("REQUEST_METHOD=POST"), Body: strings.NewReader("abcdef"), ContentLength: 6}
		r := serveWith(t, h, req, AppFunc(func(w ResponseWriter, r *Request) error {
			late = r.Stderr
			if _, err := r.Body.Read(make([]byte, 3)); err != nil {
				return err
			}
			return errors.New("test")
		}))
		r.want(t, Complete, "Status: 500 Sorry\r\nContent-Length: 32\r\n\r\ntest, cgi: read on a closed body")
		if !strings.Contains(r.log.String(), "line=\"a complaint\"") {
			t.Errorf("log %q", r.log)
		}
		if _, err := io.WriteString(late, "late"); err == nil {
			t.Error("Stderr works after the end")
		}
	})
	t.Run("ErrorOutput to a client that is gone", func(t *testing.T) {
		log := new(bytes.Buffer)
		h := &Handler{Log: slog.New(slog.NewTextHandler(log, nil)), ErrorOutput: func(w ResponseWriter, r *Request, err error) error {
			w.StartResponse("500 Sorry", nil)
			io.WriteString(w, "x")
			return w.Flush()
		}}
		sink := &textSink{failing: syscall.EPIPE}
		res := h.Run(get(), sink, AppFunc(func(ResponseWriter, *Request) error { return errors.New("test") }))
		if res.End != Aborted || sink.finished[0].End != Aborted || strings.Contains(log.String(), "ErrorOutput failed") {
			t.Errorf("%+v, %v, log %q", res, sink.finished, log)
		}
	})
	t.Run("closing fails", func(t *testing.T) {
		broken := errors.New("broken")
		r := serveWith(t, new(Handler), get(), returns(failingClose{Blocks([]byte("x")), broken}))
		r.want(t, Complete, errorPage500)
		if !errors.Is(r.result.Err, broken) {
			t.Errorf("error %v", r.result.Err)
		}
	})
}

type countedFile struct {
	io.Reader
	closed int
}

func (f *countedFile) Close() error {
	f.closed++
	return nil
}

type failingClose struct {
	Body
	err error
}

func (b failingClose) Close() error { return b.err }
