package validate_test

import (
	"errors"
	"io"
	"strings"
	"testing"

	"gatehouse/cgi"
	"gatehouse/cgi/cgitest"
	"gatehouse/cgi/validate"
)

func TestV31NoAnswer(t *testing.T) {
	e := serve(t, request(), func(cgi.ResponseWriter, *cgi.Request) error { return nil }).broke(t, "V31")
	if !errors.Is(e, cgi.ErrNoStart) {
		t.Errorf("%v is not ErrNoStart", e)
	}
	// Its own error is an answer, too.
	r := serve(t, request(), func(cgi.ResponseWriter, *cgi.Request) error { return &cgi.StatusError{Code: 404} })
	if r.result.Code != 404 || errors.As(r.result.Err, new(*validate.Error)) {
		t.Errorf("%d, %v", r.result.Code, r.result.Err)
	}
}

func TestV36StartFirst(t *testing.T) {
	first := map[string]func(w cgi.ResponseWriter) error{
		"Write":    func(w cgi.ResponseWriter) error { _, err := w.Write([]byte("x")); return err },
		"nothing":  func(w cgi.ResponseWriter) error { _, err := w.Write(nil); return err },
		"Flush":    func(w cgi.ResponseWriter) error { return w.Flush() },
		"ReadFrom": func(w cgi.ResponseWriter) error { _, err := io.Copy(w, strings.NewReader("x")); return err },
	}
	for name, call := range first {
		t.Run(name, func(t *testing.T) {
			e := serve(t, request(), func(w cgi.ResponseWriter, r *cgi.Request) error { return call(w) }).broke(t, "V36")
			if !errors.Is(e, cgi.ErrNoStart) {
				t.Errorf("%v is not ErrNoStart", e)
			}
			// An answer after it does not mend it.
			serve(t, request(), func(w cgi.ResponseWriter, r *cgi.Request) error {
				call(w)
				deaf("200 OK", "hello", plain)(w, r)
				return nil
			}).broke(t, "V36")
		})
	}
}

func TestV45Body(t *testing.T) {
	for _, status := range []string{"204 No Content", "304 Not Modified"} {
		serve(t, request(), answer(status, "x")).broke(t, "V45")
		serve(t, request(), func(w cgi.ResponseWriter, r *cgi.Request) error {
			if err := w.StartResponse(status, nil); err != nil {
				return err
			}
			_, err := w.Write(nil)
			return err
		}).kept(t)
		serve(t, request(), answer(status, "")).kept(t)
	}
	// To HEAD it is a warning, one for an answer, and the length is told.
	r := serve(t, request("REQUEST_METHOD=HEAD"), func(w cgi.ResponseWriter, r *cgi.Request) error {
		if err := hello(w, r); err != nil {
			return err
		}
		_, err := io.WriteString(w, "more")
		return err
	})
	r.kept(t, "V45")
	if !strings.Contains(r.sink.String(), "Content-Length: 9\r\n") {
		t.Errorf("got %q", r.sink)
	}
	serve(t, request("REQUEST_METHOD=HEAD"), answer("200 OK", "", plain)).kept(t)
}

func length(n string) cgi.Field { return cgi.Field{Name: "content-length", Value: n} }

func TestV46Length(t *testing.T) {
	for _, body := range []string{"", "1234", "123456"} {
		for name, app := range map[string]cgi.AppFunc{
			"started": answer("200 OK", body, plain, length("5")),
			"careless": func(w cgi.ResponseWriter, r *cgi.Request) error {
				_ = answer("200 OK", body, plain, length("5"))(w, r)
				return nil
			},
			"copied": func(w cgi.ResponseWriter, r *cgi.Request) error {
				if err := w.StartResponse("200 OK", []cgi.Field{plain, length(" 5\t"[:2])}); err != nil {
					return err
				}
				_, err := io.Copy(w, strings.NewReader(body))
				return err
			},
			"replaced": func(w cgi.ResponseWriter, r *cgi.Request) error {
				if err := answer("200 OK", "12345", plain, length("7"))(w, r); err != nil {
					return err
				}
				if err := cgi.ReplaceResponse(w, errors.New("cause"), "200 OK", []cgi.Field{plain, length("5")}); err != nil {
					return err
				}
				_, err := io.WriteString(w, body)
				return err
			},
		} {
			t.Run(name+len5(body), func(t *testing.T) {
				e := serve(t, request(), app).broke(t, "V46")
				if !errors.Is(e, cgi.ErrContentLength) {
					t.Errorf("%v is not ErrContentLength", e)
				}
			})
		}
	}
	serve(t, request(), answer("200 OK", "12345", plain, length("5"))).kept(t)
	serve(t, request(), answer("200 OK", "", plain, length("0"))).kept(t)
	serve(t, request(), answer("304 Not Modified", "", length("5"))).kept(t)
	serve(t, request("REQUEST_METHOD=HEAD"), answer("200 OK", "", plain, length("5"))).kept(t)
	serve(t, request("REQUEST_METHOD=HEAD"), answer("200 OK", "123456", plain, length("5"))).kept(t, "V45")
}

func len5(s string) string { return strings.Repeat("i", len(s)) }

// TestSentBeforeTheFailure: what has left cannot become a page, and is truncated.
func TestSentBeforeTheFailure(t *testing.T) {
	r := serve(t, request(), func(w cgi.ResponseWriter, r *cgi.Request) error {
		if err := answer("200 OK", "1234", plain, length("5"))(w, r); err != nil {
			return err
		}
		return w.Flush()
	})
	var e *validate.Error
	if r.result.End != cgi.Truncated || !errors.As(r.result.Err, &e) || e.Rule != "V46" {
		t.Errorf("%v: %v", r.result.End, r.result.Err)
	}
}

// TestClientGone: an application that does not look at a failing Write has broken no
// rule by writing less than it declared.
func TestClientGone(t *testing.T) {
	gone := errors.New("broken pipe")
	r := serveTo(t, &textSink{Recorder: cgitest.Recorder{WriteError: gone}}, request(), deaf("200 OK", "123", plain, length("5")))
	if r.result.End != cgi.Aborted || !errors.Is(r.result.Err, gone) {
		t.Errorf("%v: %v", r.result.End, r.result.Err)
	}
}

// TestMended: a head in place of one that the gateway has refused counts.
func TestMended(t *testing.T) {
	serve(t, request(), func(w cgi.ResponseWriter, r *cgi.Request) error {
		err := w.StartResponse("200 OK", []cgi.Field{plain, length("x")})
		if !errors.Is(err, cgi.ErrField) {
			t.Errorf("error %v", err)
		}
		if err := cgi.ReplaceResponse(w, err, "200 OK", []cgi.Field{plain, length("5")}); err != nil {
			return err
		}
		_, err = io.WriteString(w, "123")
		return err
	}).broke(t, "V46")
}

// TestRefusedByTheGateway: its error is the one that is told.
func TestRefusedByTheGateway(t *testing.T) {
	for name, app := range map[string]cgi.AppFunc{
		"looks":    answer("200 OK", "", plain, length("x")),
		"careless": deaf("200 OK", "12345", plain, length("x")),
	} {
		r := serve(t, request(), app)
		if !errors.Is(r.result.Err, cgi.ErrField) || errors.As(r.result.Err, new(*validate.Error)) || r.sink.String() != errorPage {
			t.Errorf("%s: error %v, got %q", name, r.result.Err, r.sink)
		}
	}
}
