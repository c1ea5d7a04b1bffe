package validate_test

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"strings"
	"testing"

	"gatehouse/cgi"
	"gatehouse/cgi/validate"
)

// around are the ways to validate a WSGI application.
var around = map[string]func(cgi.WSGI) cgi.App{
	"App":  func(f cgi.WSGI) cgi.App { return &validate.App{App: f, Warn: func(*validate.Warning) {}} },
	"WSGI": func(f cgi.WSGI) cgi.App { return validate.WSGI(f) },
	"both": func(f cgi.WSGI) cgi.App {
		middleware := func(env *cgi.Environ, start cgi.StartResponse) (cgi.Body, error) { return validate.WSGI(f)(env, start) }
		return &validate.App{App: cgi.WSGI(middleware), Warn: func(*validate.Warning) {}}
	},
}

// serveApp runs an application that is validated already.
func serveApp(t *testing.T, h *cgi.Handler, r *cgi.Request, app cgi.App) *run {
	t.Helper()
	out := &run{sink: new(textSink), log: new(bytes.Buffer)}
	h.Log = slog.New(slog.NewTextHandler(out.log, nil))
	out.result = h.Run(r, out.sink, app)
	return out
}

// eachWay runs a WSGI application in every way.
func eachWay(t *testing.T, f cgi.WSGI, check func(t *testing.T, r *run)) {
	t.Helper()
	for name, validated := range around {
		t.Run(name, func(t *testing.T) { check(t, serveApp(t, new(cgi.Handler), request(), validated(f))) })
	}
}

// breaks checks that an application breaks a rule before anything is sent.
func breaks(t *testing.T, rule string, f cgi.WSGI) {
	t.Helper()
	eachWay(t, f, func(t *testing.T, r *run) {
		if r.broke(t, rule); strings.Count(r.log.String(), "validate: ") != 1 {
			t.Errorf("told more than once: %s", r.log)
		}
	})
}

func keeps(t *testing.T, want string, f cgi.WSGI) {
	t.Helper()
	eachWay(t, f, func(t *testing.T, r *run) {
		if r.kept(t); r.sink.String() != want {
			t.Errorf("got %q", r.sink)
		}
	})
}

// yields is an application that returns blocks.
func yields(blocks ...string) cgi.WSGI {
	return func(env *cgi.Environ, start cgi.StartResponse) (cgi.Body, error) {
		_, err := start("200 OK", []cgi.Field{plain}, nil)
		return blocksOf(blocks...), err
	}
}

func blocksOf(blocks ...string) cgi.Body {
	b := make([][]byte, len(blocks))
	for i := range blocks {
		b[i] = []byte(blocks[i])
	}
	return cgi.Blocks(b...)
}

const plainHead = "Status: 200 OK\r\nContent-Type: text/plain\r\n\r\n"

// TestWSGIHeads: start is checked as StartResponse is, with and without a cause, and
// whether or not the application looks at the error.
func TestWSGIHeads(t *testing.T) {
	for _, c := range []struct{ rule, status, fields string }{
		{"V18", "20X OK", ct},
		{"V23", "200 OK", ct + "; Status=200"},
		{"V24", "200 OK", ct + "; A:b=c"},
		{"V25", "200 OK", ct + "; 1=c"},
		{"V26", "200 OK", ct + "; A-=c"},
		{"V27", "200 OK", ct + "; A=\tb"},
		{"V28", "200 OK", ""},
		{"V29", "304 Not Modified", ct},
		{"V44", "200 OK", ct + "; Connection=close"},
	} {
		for _, cause := range []error{nil, errors.New("cause")} {
			for _, careless := range []bool{false, true} {
				t.Run(c.rule, func(t *testing.T) {
					breaks(t, c.rule, func(env *cgi.Environ, start cgi.StartResponse) (cgi.Body, error) {
						_, err := start(c.status, fieldsOf(c.fields), cause)
						if careless {
							err = nil
						}
						return cgi.Blocks([]byte("x")), err
					})
				})
			}
		}
	}
	// V19 is a warning, and the gateway refuses such a status.
	r := request()
	var complaints strings.Builder
	r.Stderr = &complaints
	out := serveApp(t, new(cgi.Handler), r, validate.WSGI(func(env *cgi.Environ, start cgi.StartResponse) (cgi.Body, error) {
		_, err := start("200", []cgi.Field{plain}, nil)
		return nil, err
	}))
	if !errors.Is(out.result.Err, cgi.ErrStatus) || !strings.Contains(complaints.String(), "V19") {
		t.Errorf("error %v, complaints %q", out.result.Err, complaints.String())
	}
}

// TestWSGIRequest: the request is checked in each way.
func TestWSGIRequest(t *testing.T) {
	for name, validated := range around {
		serveApp(t, new(cgi.Handler), request("SCRIPT_NAME=/"), validated(yields("x"))).broke(t, "V16")
		var warnings strings.Builder
		r := request("-QUERY_STRING")
		r.Stderr = &warnings
		serveApp(t, new(cgi.Handler), r, validated(yields("x"))).kept(t)
		if name == "WSGI" && strings.Count(warnings.String(), "V5") != 1 {
			t.Errorf("warnings %q", warnings.String())
		}
	}
	body, err := validate.WSGI(yields("x"))(new(cgi.Environ), nil)
	if e, ok := err.(*validate.Error); !ok || e.Rule != "V3" || body != nil {
		t.Errorf("without a request: %v", err)
	}
}

// TestWSGIWarnings reach the Warn of the App around all.
func TestWSGIWarnings(t *testing.T) {
	var got []string
	app := &validate.App{App: validate.WSGI(yields("x")), Warn: func(w *validate.Warning) { got = append(got, w.Rule) }}
	serveApp(t, new(cgi.Handler), request("-QUERY_STRING", "REQUEST_METHOD=HEAD"), app)
	if strings.Join(got, " ") != "V5 V45 V45" {
		t.Errorf("warnings %v", got)
	}
}

// TestWSGIContent: what the body yields counts as what is written does.
func TestWSGIContent(t *testing.T) {
	with := func(status, write string, fields []cgi.Field, blocks ...string) cgi.WSGI {
		return func(env *cgi.Environ, start cgi.StartResponse) (cgi.Body, error) {
			w, err := start(status, fields, nil)
			if err == nil && write != "" {
				err = w([]byte(write))
			}
			return blocksOf(blocks...), err
		}
	}
	breaks(t, "V45", with("204 No Content", "", nil, "x"))
	breaks(t, "V45", with("304 Not Modified", "x", nil))
	breaks(t, "V46", with("200 OK", "", []cgi.Field{plain, length("1")}, "", "xy"))
	eachWay(t, with("200 OK", "x", []cgi.Field{plain, length("3")}, "y"), func(t *testing.T, r *run) {
		var e *validate.Error
		if !errors.As(r.result.Err, &e) || e.Rule != "V46" || r.result.End != cgi.Truncated {
			t.Errorf("%v: %v", r.result.End, r.result.Err)
		}
	})
	keeps(t, "Status: 200 OK\r\nContent-Type: text/plain\r\ncontent-length: 3\r\n\r\nxyz", with("200 OK", "x", []cgi.Field{plain, length("3")}, "y", "", "z"))
}

// TestWSGIStreams: the application reads and complains through the validator, which
// gives the gateway its streams back.
func TestWSGIStreams(t *testing.T) {
	for name, validated := range around {
		req := withBody(strings.NewReader("abcde"))
		var complaints strings.Builder
		req.Stderr = &complaints
		var during io.Reader
		r := serveApp(t, new(cgi.Handler), req, validated(func(env *cgi.Environ, start cgi.StartResponse) (cgi.Body, error) {
			in := env.Request()
			during = in.Body
			if _, ok := in.Body.(io.Closer); ok {
				t.Error("the body has a method Close")
			}
			io.WriteString(in.Stderr, "complaint")
			_, err := start("200 OK", []cgi.Field{plain}, nil)
			return &cgi.File{R: in.Body, BlockSize: 3}, err
		}))
		if r.kept(t); r.sink.String() != plainHead+"abcde" || complaints.String() != "complaint" {
			t.Errorf("%s: got %q, %q", name, r.sink, complaints.String())
		}
		if req.Body == during || req.Stderr != io.Writer(&complaints) {
			t.Errorf("%s: the request has not got its streams back", name)
		}
		if e, ok := panicOf(func() { during.Read(make([]byte, 1)) }).(*validate.Error); !ok || e.Rule != "V48" {
			t.Errorf("%s: late use panics with %v", name, e)
		}
	}
	// Read with nothing to read into is a failure as elsewhere.
	breaks(t, "V38", func(env *cgi.Environ, start cgi.StartResponse) (cgi.Body, error) {
		_, err := env.Request().Body.Read(nil)
		return nil, err
	})
}

// TestV48LateWSGI: start and write panic after the end.
func TestV48LateWSGI(t *testing.T) {
	for name, validated := range around {
		for _, broken := range []error{nil, errors.New("broken")} {
			var late cgi.StartResponse
			var write cgi.WriteFunc
			serveApp(t, new(cgi.Handler), request(), validated(func(env *cgi.Environ, start cgi.StartResponse) (cgi.Body, error) {
				late = start
				write, _ = start("200 OK", []cgi.Field{plain}, nil)
				if broken != nil {
					return nil, broken
				}
				return blocksOf("x"), nil
			}))
			for _, use := range []func(){
				func() { late("200 OK", nil, nil) },
				func() { write([]byte("late")) },
			} {
				if e, ok := panicOf(use).(*validate.Error); !ok || e.Rule != "V48" {
					t.Errorf("%s: panic with %v", name, e)
				}
			}
		}
	}
}

// TestWSGIMiddlewareRefuses: a start_response of a middleware's that returns an error
// and no write callable harms nobody.
func TestWSGIMiddlewareRefuses(t *testing.T) {
	refused := errors.New("refused")
	app := validate.WSGI(func(env *cgi.Environ, start cgi.StartResponse) (cgi.Body, error) {
		write, err := start("200 OK", []cgi.Field{plain}, nil)
		if err != refused {
			t.Errorf("start: %v", err)
		}
		if err := write([]byte("x")); err != cgi.ErrNoStart {
			t.Errorf("write: %v", err)
		}
		return nil, err
	})
	r := serveApp(t, new(cgi.Handler), request(), &validate.App{App: cgi.WSGI(func(env *cgi.Environ, _ cgi.StartResponse) (cgi.Body, error) {
		return app(env, func(string, []cgi.Field, error) (cgi.WriteFunc, error) { return nil, refused })
	})})
	if r.result.Err != refused {
		t.Errorf("error %v", r.result.Err)
	}
}

// TestWSGIFailures: an application's own error, and its panic, pass.
func TestWSGIFailures(t *testing.T) {
	own := errors.New("own")
	body := func(fail func() error) cgi.WSGI {
		return func(env *cgi.Environ, start cgi.StartResponse) (cgi.Body, error) {
			_, err := start("200 OK", []cgi.Field{plain}, nil)
			return cgi.Seq(func(yield func([]byte, error) bool) {
				_ = yield([]byte("x"), nil) && yield(nil, fail())
			}), err
		}
	}
	for name, fail := range map[string]func() error{
		"error": func() error { return own },
		"panic": func() error { panic(own.Error()) },
	} {
		t.Run(name, func(t *testing.T) {
			eachWay(t, body(fail), func(t *testing.T, r *run) {
				if r.result.End != cgi.Truncated || !strings.Contains(r.result.Err.Error(), "own") || errors.As(r.result.Err, new(*validate.Error)) {
					t.Errorf("%v: %v", r.result.End, r.result.Err)
				}
			})
		})
		t.Run(name+" at once", func(t *testing.T) {
			eachWay(t, func(*cgi.Environ, cgi.StartResponse) (cgi.Body, error) { return nil, fail() }, func(t *testing.T, r *run) {
				if r.sink.String() != errorPage || errors.As(r.result.Err, new(*validate.Error)) {
					t.Errorf("%q, %v", r.sink, r.result.Err)
				}
			})
		})
	}
	// So does one of closing.
	eachWay(t, func(env *cgi.Environ, start cgi.StartResponse) (cgi.Body, error) {
		_, err := start("200 OK", []cgi.Field{plain}, nil)
		return failingClose{blocksOf("x"), own}, err
	}, func(t *testing.T, r *run) {
		if r.result.End != cgi.Truncated || !errors.Is(r.result.Err, own) {
			t.Errorf("%v: %v", r.result.End, r.result.Err)
		}
	})
}

type failingClose struct {
	cgi.Body
	err error
}

func (b failingClose) Close() error { return b.err }
