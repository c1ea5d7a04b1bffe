package validate_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"gatehouse/cgi"
	"gatehouse/cgi/validate"
)

func TestReplaceResponse(t *testing.T) {
	cause := errors.New("cause")
	r := serve(t, request(), func(w cgi.ResponseWriter, r *cgi.Request) error {
		if err := answer("200 OK", "12345", plain, length("9"))(w, r); err != nil {
			return err
		}
		if cgi.HeadersSent(w) {
			t.Error("the headers are sent already")
		}
		if err := cgi.ReplaceResponse(w, cause, "404 Not Found", []cgi.Field{plain}); err != nil {
			return err
		}
		_, err := io.WriteString(w, "none")
		return err
	})
	r.kept(t)
	if want := "Status: 404 Not Found\r\nContent-Type: text/plain\r\nContent-Length: 4\r\n\r\nnone"; r.sink.String() != want {
		t.Errorf("got %q", r.sink)
	}

	// After the head has left it returns the cause, and the first head holds.
	serve(t, request(), func(w cgi.ResponseWriter, r *cgi.Request) error {
		if err := w.StartResponse("200 OK", []cgi.Field{plain}); err != nil {
			return err
		}
		if err := w.Flush(); err != nil {
			return err
		}
		if !cgi.HeadersSent(w) {
			t.Error("the headers are not sent")
		}
		err := cgi.ReplaceResponse(w, cause, "204 No Content", nil)
		if !errors.Is(err, cgi.ErrHeadersSent) || !errors.Is(err, cause) {
			t.Errorf("error %v", err)
		}
		_, err = io.WriteString(w, "hello")
		return err
	}).kept(t)
}

func TestAbilitiesPass(t *testing.T) {
	sink := new(textSink)
	r := serveTo(t, sink, request(), func(w cgi.ResponseWriter, r *cgi.Request) error {
		cgi.SetExitStatus(w, 7)
		if err := cgi.EnableFullDuplex(w); err != nil {
			t.Error(err)
		}
		if err := cgi.SetReadDeadline(w, time.Unix(1, 0)); err != nil {
			t.Error(err)
		}
		if err := cgi.SetWriteDeadline(w, time.Unix(2, 0)); err != nil {
			t.Error(err)
		}
		if err := w.StartResponse("200 OK", []cgi.Field{plain}); err != nil {
			return err
		}
		n, err := w.(io.ReaderFrom).ReadFrom(strings.NewReader("hello"))
		if n != 5 {
			t.Errorf("%d bytes", n)
		}
		return err
	})
	r.kept(t)
	if r.result.ExitStatus != 7 || len(sink.deadlines) != 2 || sink.deadlines[0].Unix() != 1 || sink.deadlines[1].Unix() != 2 {
		t.Errorf("exit status %d, deadlines %v", r.result.ExitStatus, sink.deadlines)
	}
}

// A poorWriter has no abilities but one that nobody else knows.
type poorWriter struct{ cgi.ResponseWriter }

func (poorWriter) Rare() string { return "rare" }

// TestV43Abilities: what the gateway lacks is not made up, and what is unknown here
// is found.
func TestV43Abilities(t *testing.T) {
	cause := errors.New("cause")
	app := &validate.App{App: cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
		for _, err := range []error{
			cgi.SetReadDeadline(w, time.Time{}),
			cgi.SetWriteDeadline(w, time.Time{}),
			cgi.EnableFullDuplex(w),
			cgi.WriteInformational(w, 103, nil),
		} {
			if !errors.Is(err, http.ErrNotSupported) {
				t.Errorf("error %v", err)
			}
		}
		if err := cgi.ReplaceResponse(w, cause, "200 OK", []cgi.Field{plain}); err != cause {
			t.Errorf("error %v", err)
		}
		next := w.(interface{ Unwrap() cgi.ResponseWriter }).Unwrap()
		if next.(interface{ Rare() string }).Rare() != "rare" {
			t.Error("not the gateway's writer")
		}
		return cause
	})}
	r := request()
	r.Stderr = io.Discard
	if err := app.ServeCGI(poorWriter{}, r); err != cause {
		t.Errorf("error %v", err)
	}
}
