package validate_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/cgi"
	"gatehouse/cgi/validate"
)

// panicOf returns what f panics with.
func panicOf(f func()) (p any) {
	defer func() { p = recover() }()
	f()
	return nil
}

// TestV48LateUse: goroutines that the application leaves behind wait for its end
// and then use all it was given; each use panics, and none reaches the gateway.
func TestV48LateUse(t *testing.T) {
	uses := map[string]func(w cgi.ResponseWriter, r *cgi.Request){
		"w.StartResponse":      func(w cgi.ResponseWriter, _ *cgi.Request) { w.StartResponse("200 OK", nil) },
		"w.Write":              func(w cgi.ResponseWriter, _ *cgi.Request) { w.Write([]byte("late")) },
		"w.Flush":              func(w cgi.ResponseWriter, _ *cgi.Request) { w.Flush() },
		"w.ReplaceResponse":    func(w cgi.ResponseWriter, _ *cgi.Request) { cgi.ReplaceResponse(w, nil, "", nil) },
		"w.HeadersSent":        func(w cgi.ResponseWriter, _ *cgi.Request) { cgi.HeadersSent(w) },
		"w.SendPipe":           func(w cgi.ResponseWriter, _ *cgi.Request) { cgi.SendPipe(w, 0, 1) },
		"w.EnableFullDuplex":   func(w cgi.ResponseWriter, _ *cgi.Request) { cgi.EnableFullDuplex(w) },
		"w.SetExitStatus":      func(w cgi.ResponseWriter, _ *cgi.Request) { cgi.SetExitStatus(w, 1) },
		"w.SetReadDeadline":    func(w cgi.ResponseWriter, _ *cgi.Request) { cgi.SetReadDeadline(w, time.Time{}) },
		"w.SetWriteDeadline":   func(w cgi.ResponseWriter, _ *cgi.Request) { cgi.SetWriteDeadline(w, time.Time{}) },
		"w.WriteInformational": func(w cgi.ResponseWriter, _ *cgi.Request) { cgi.WriteInformational(w, 103, nil) },
		"w.Unwrap": func(w cgi.ResponseWriter, _ *cgi.Request) {
			w.(interface{ Unwrap() cgi.ResponseWriter }).Unwrap()
		},
		"r.Body": func(_ cgi.ResponseWriter, r *cgi.Request) {
			io.ReadAll(r.Body)
		},
		"r.Data":   func(_ cgi.ResponseWriter, r *cgi.Request) { r.Data.Read(make([]byte, 1)) },
		"r.Stderr": func(_ cgi.ResponseWriter, r *cgi.Request) { io.WriteString(r.Stderr, "late") },
	}
	for name, use := range uses {
		t.Run(name, func(t *testing.T) {
			returned := make(chan struct{})
			got := make(chan any)
			req := withBody(strings.NewReader("abcde"))
			req.Data = strings.NewReader("data")
			r := serve(t, req, func(w cgi.ResponseWriter, r *cgi.Request) error {
				go func() {
					<-returned
					got <- panicOf(func() { use(w, r) })
				}()
				return hello(w, r)
			})
			close(returned)
			e, ok := (<-got).(*validate.Error)
			if !ok || e.Rule != "V48" || !strings.HasPrefix(e.Msg, name+" is used after ServeCGI has returned") {
				t.Errorf("panic with %v", e)
			}
			r.kept(t)
			if !strings.HasSuffix(r.sink.String(), "\r\n\r\nhello") {
				t.Errorf("got %q", r.sink)
			}
		})
	}
}

// TestV48LateClose: closing the body late is late use as well.
func TestV48LateClose(t *testing.T) {
	var late *cgi.Request
	serve(t, withBody(strings.NewReader("abcde")), func(w cgi.ResponseWriter, r *cgi.Request) error {
		late = r
		return hello(w, r)
	}).kept(t)
	if e, ok := panicOf(late.CloseBody).(*validate.Error); !ok || e.Rule != "V48" {
		t.Errorf("panic with %v", e)
	}
}

// TestV48Storm: goroutines that use everything while ServeCGI returns reach nothing
// of the gateway's afterwards; the race detector looks on.
func TestV48Storm(t *testing.T) {
	var wg sync.WaitGroup
	serve(t, withBody(strings.NewReader("abcde")), func(w cgi.ResponseWriter, r *cgi.Request) error {
		var begun sync.WaitGroup
		for _, use := range []func() error{
			func() error { _, err := r.Body.Read(make([]byte, 1)); return err },
			func() error { _, err := io.WriteString(r.Stderr, "late"); return err },
			func() error { return cgi.SetReadDeadline(w, time.Time{}) },
		} {
			begun.Add(1)
			wg.Go(func() {
				begun.Done()
				for panicOf(func() { _ = use() }) == nil {
				}
			})
		}
		begun.Wait()
		return hello(w, r)
	})
	wg.Wait()
}

// TestV48ReadUnderWay: a Read that is under way when ServeCGI returns is a failure;
// it is interrupted and waited for.
func TestV48ReadUnderWay(t *testing.T) {
	b := newBlockedBody()
	done := make(chan struct{})
	r := serve(t, withBody(b), func(w cgi.ResponseWriter, r *cgi.Request) error {
		go func() {
			defer close(done)
			r.Body.Read(make([]byte, 1))
		}()
		<-b.reading
		return hello(w, r)
	})
	r.broke(t, "V48")
	<-done

	// Nothing interrupts the standard input of a CGI program.
	b = newBlockedBody()
	req := withBody(struct{ io.Reader }{b})
	req.RunOnce = true
	done = make(chan struct{})
	serve(t, req, func(w cgi.ResponseWriter, r *cgi.Request) error {
		go func() {
			defer close(done)
			r.Body.Read(make([]byte, 1))
		}()
		<-b.reading
		return hello(w, r)
	}).kept(t)
	b.Close()
	<-done
}

// A heldWriter is a Stderr whose Write waits.
type heldWriter struct {
	begun chan struct{}
	goOn  chan struct{}
	ended bool
}

func (w *heldWriter) Write(p []byte) (int, error) {
	close(w.begun)
	<-w.goOn
	for range 1000 {
		runtime.Gosched() // whoever does not wait for this goroutine is ahead of it now
	}
	w.ended = true
	return len(p), nil
}

// TestV48CallUnderWay: likewise a call of w or of Stderr, which is waited for. Here
// it ends only when the body is closed, of which a Read is under way too.
func TestV48CallUnderWay(t *testing.T) {
	b := newBlockedBody()
	out := &heldWriter{begun: make(chan struct{}), goOn: b.closed}
	req := withBody(b)
	req.Stderr = out
	r := serve(t, req, func(w cgi.ResponseWriter, r *cgi.Request) error {
		go r.Body.Read(make([]byte, 1))
		go io.WriteString(r.Stderr, "held")
		<-b.reading
		<-out.begun
		return hello(w, r)
	})
	if !out.ended {
		t.Error("ServeCGI did not wait")
	}
	if e := r.broke(t, "V48"); !strings.Contains(e.Msg, "r.Stderr was under way") {
		t.Errorf("message %q", e.Msg)
	}
}

// TestFailureIsNotSwallowed: after a failure nothing of the answer passes, and
// another error takes its place only if it wraps it.
func TestFailureIsNotSwallowed(t *testing.T) {
	bad := cgi.Field{Name: "X_", Value: "y"}
	other := errors.New("other")
	serve(t, request(), func(w cgi.ResponseWriter, r *cgi.Request) error {
		w.StartResponse("200 OK", []cgi.Field{plain, bad})
		for _, err := range []error{
			w.StartResponse("200 OK", []cgi.Field{plain}),
			cgi.ReplaceResponse(w, other, "200 OK", []cgi.Field{plain}),
			w.Flush(),
			cgi.WriteInformational(w, 103, nil),
			func() error { _, err := w.Write([]byte("x")); return err }(),
		} {
			if e, ok := err.(*validate.Error); !ok || e.Rule != "V26" {
				t.Errorf("error %v", err)
			}
		}
		return &cgi.StatusError{Code: 404, Err: other}
	}).broke(t, "V26")

	r := serve(t, request(), func(w cgi.ResponseWriter, r *cgi.Request) error {
		err := w.StartResponse("200 OK", []cgi.Field{plain, bad})
		return &cgi.StatusError{Code: 502, Err: fmt.Errorf("program: %w", err)}
	})
	var e *validate.Error
	if r.result.Code != 502 || !errors.As(r.result.Err, &e) || e.Rule != "V26" {
		t.Errorf("%d, %v", r.result.Code, r.result.Err)
	}
}

// TestPanicPasses: the application's panic is the gateway's to handle, and ends the
// exchange.
func TestPanicPasses(t *testing.T) {
	var late cgi.ResponseWriter
	r := serve(t, request(), func(w cgi.ResponseWriter, r *cgi.Request) error {
		late = w
		panic(http.ErrAbortHandler)
	})
	if r.result.End != cgi.Truncated || errors.As(r.result.Err, new(*validate.Error)) {
		t.Errorf("%v: %v", r.result.End, r.result.Err)
	}
	if e, ok := panicOf(func() { late.Flush() }).(*validate.Error); !ok || e.Rule != "V48" {
		t.Errorf("panic with %v", e)
	}
}

type contextKey struct{}

type contextSource struct{ made int }

func (s *contextSource) RequestContext() context.Context {
	s.made++
	return context.WithValue(context.Background(), contextKey{}, s)
}

// TestRequestPasses: the context is the gateway's, made when it is asked for, and
// what a Mux makes of the path reaches the gateway.
func TestRequestPasses(t *testing.T) {
	source := new(contextSource)
	req := request("SCRIPT_NAME=", "PATH_INFO=/wiki/Main")
	req.SetContextSource(source)
	var mux cgi.Mux
	if err := mux.Mount("/wiki", cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
		if source.made != 0 || req.HasContext() {
			t.Error("the context is made already")
		}
		if r.Context().Value(contextKey{}) != source || req.Context() != r.Context() || source.made != 1 {
			t.Error("not the gateway's context")
		}
		if got := r.Env.Get("SCRIPT_NAME"); got != "/wiki" {
			t.Errorf("SCRIPT_NAME is %q", got)
		}
		return hello(w, r)
	})); err != nil {
		t.Fatal(err)
	}
	serve(t, req, mux.ServeCGI).kept(t)
	if script, info, _ := req.SentPath(); script != "" || info != "/wiki/Main" {
		t.Errorf("the path was sent as %q, %q", script, info)
	}

	// A context that is set stays.
	req = request()
	ctx := context.WithValue(context.Background(), contextKey{}, "set")
	req.SetContext(ctx)
	serve(t, req, func(w cgi.ResponseWriter, r *cgi.Request) error {
		if r.Context() != req.Context() || r.Context().Value(contextKey{}) != "set" {
			t.Error("another context")
		}
		return hello(w, r)
	}).kept(t)
}

// TestWarningOnStderr: without Warn a warning is a line there.
func TestWarningOnStderr(t *testing.T) {
	var out strings.Builder
	req := request("-QUERY_STRING", "REQUEST_METHOD=A\nB")
	req.Stderr = &out
	new(cgi.Handler).Run(req, new(textSink), &validate.App{App: hello})
	want := "validate: warning V5: QUERY_STRING is not set; it should be, if only to the empty string\n" +
		"validate: warning V11: REQUEST_METHOD is \"A\\nB\", which is not known\n"
	if out.String() != want {
		t.Errorf("got %q", &out)
	}
}

// TestHTTPHandler: an http.Handler is validated through the adapters, in front and
// behind.
func TestHTTPHandler(t *testing.T) {
	r := serve(t, withBody(strings.NewReader("abcde")), cgi.FromHTTP(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(w, r.Body)
		w.(http.Flusher).Flush()
	})).ServeCGI)
	r.kept(t)
	if !strings.HasSuffix(r.sink.String(), "\r\n\r\nabcde") {
		t.Errorf("got %q", r.sink)
	}
	serve(t, request(), cgi.FromHTTP(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Connection", "close")
		io.WriteString(w, "hello")
	})).ServeCGI).broke(t, "V44")
}

// TestContextAfterReturn: whoever wraps the validator can ask for the context when the
// application has not.
func TestContextAfterReturn(t *testing.T) {
	app := cgi.App(cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
		return w.StartResponse("204 No Content", nil)
	}))
	key := struct{ name string }{"key"}
	for range 3 {
		inner := &validate.App{App: app}
		app = cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
			err := inner.ServeCGI(w, r)
			if r.Context().Value(key) != "value" {
				t.Error("it is another context")
			}
			return err
		})
	}
	w := httptest.NewRecorder()
	cgi.ToHTTP(app).ServeHTTP(w, httptest.NewRequest("GET", "/", nil).WithContext(context.WithValue(context.Background(), key, "value")))
	if w.Code != 204 {
		t.Errorf("status %d", w.Code)
	}
}
