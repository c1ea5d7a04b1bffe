package validate_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"gatehouse/cgi"
	"gatehouse/cgi/validate"
)

// withBody returns a request with a body of 5 bytes.
func withBody(body io.Reader) *cgi.Request {
	r := request("REQUEST_METHOD=POST", "CONTENT_LENGTH=5")
	r.Body, r.ContentLength = body, 5
	return r
}

func TestBodyPasses(t *testing.T) {
	r := withBody(strings.NewReader("abcde"))
	outer := r.Body
	h := new(cgi.Handler)
	sink := new(textSink)
	app := &validate.App{App: cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
		b, err := io.ReadAll(r.Body)
		if err != nil {
			return err
		}
		return answer("200 OK", string(b), plain)(w, r)
	})}
	h.Run(r, sink, cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
		outer = r.Body
		err := app.ServeCGI(w, r)
		if r.Body != outer {
			t.Error("the gateway's request has another body")
		}
		return err
	}))
	if !strings.HasSuffix(sink.String(), "\r\n\r\nabcde") {
		t.Errorf("got %q", sink)
	}
}

func TestV38EmptyBuffer(t *testing.T) {
	for name, careful := range map[string]bool{"looks": true, "careless": false} {
		t.Run(name, func(t *testing.T) {
			serve(t, withBody(strings.NewReader("abcde")), func(w cgi.ResponseWriter, r *cgi.Request) error {
				n, err := r.Body.Read(nil)
				if n != 0 || err == nil {
					t.Errorf("Read = %d, %v", n, err)
				}
				if careful {
					return err
				}
				deaf("200 OK", "hello", plain)(w, r)
				return nil
			}).broke(t, "V38")
		})
	}
	r := request()
	r.Data = strings.NewReader("data")
	serve(t, r, func(w cgi.ResponseWriter, r *cgi.Request) error {
		if b, err := io.ReadAll(r.Data); string(b) != "data" || err != nil {
			t.Errorf("Data is %q, %v", b, err)
		}
		r.Data.Read([]byte{})
		return hello(w, r)
	}).broke(t, "V38")
}

// A blockedBody is one whose Read returns when it is closed.
type blockedBody struct {
	reading chan struct{} // closed when Read has been called
	closed  chan struct{}
}

func newBlockedBody() *blockedBody {
	return &blockedBody{make(chan struct{}), make(chan struct{})}
}

func (b *blockedBody) Read([]byte) (int, error) {
	close(b.reading)
	<-b.closed
	return 0, cgi.ErrBodyClosed
}

func (b *blockedBody) Close() error {
	close(b.closed)
	return nil
}

// TestV40NoCloser: the body cannot be closed by its application but through the
// request, also behind two validators.
func TestV40NoCloser(t *testing.T) {
	b := newBlockedBody()
	app := cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
		if _, ok := r.Body.(io.Closer); ok {
			t.Error("the body is an io.Closer")
		}
		done := make(chan error)
		go func() {
			_, err := r.Body.Read(make([]byte, 1))
			done <- err
		}()
		<-b.reading
		r.CloseBody()
		if err := <-done; !errors.Is(err, cgi.ErrBodyClosed) {
			t.Errorf("Read: %v", err)
		}
		return hello(w, r)
	})
	serve(t, withBody(b), (&validate.App{App: app}).ServeCGI).kept(t)
}

// TestV41StderrWrite: what is written passes as it is, and there is no other way.
func TestV41StderrWrite(t *testing.T) {
	var out bytes.Buffer
	r := request()
	r.Stderr = &out
	serve(t, r, func(w cgi.ResponseWriter, r *cgi.Request) error {
		if n, err := io.WriteString(r.Stderr, "one\n"); n != 4 || err != nil {
			t.Errorf("Write = %d, %v", n, err)
		}
		if _, ok := r.Stderr.(io.StringWriter); ok {
			t.Error("it has WriteString")
		}
		if _, ok := r.Stderr.(io.ReaderFrom); ok {
			t.Error("it has ReadFrom")
		}
		return hello(w, r)
	}).kept(t)
	if out.String() != "one\n" {
		t.Errorf("got %q", &out)
	}
}

type closableBuffer struct{ bytes.Buffer }

func (*closableBuffer) Close() error { return nil }

func TestV42StderrNoCloser(t *testing.T) {
	r := request()
	r.Stderr = new(closableBuffer)
	serve(t, r, func(w cgi.ResponseWriter, r *cgi.Request) error {
		if _, ok := r.Stderr.(io.Closer); ok {
			t.Error("it is an io.Closer")
		}
		return hello(w, r)
	}).kept(t)
}
