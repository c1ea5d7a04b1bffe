package validate_test

import (
	"errors"
	"strings"
	"testing"

	"gatehouse/cgi"
	"gatehouse/cgi/validate"
)

func TestV31Body(t *testing.T) {
	breaks(t, "V31", func(env *cgi.Environ, start cgi.StartResponse) (cgi.Body, error) {
		_, err := start("200 OK", []cgi.Field{plain}, nil)
		return nil, err
	})
	// There is no answer either, if start is never called and there is no block.
	breaks(t, "V31", func(env *cgi.Environ, start cgi.StartResponse) (cgi.Body, error) { return cgi.Blocks(), nil })

	// An error is enough.
	refused := &cgi.StatusError{Code: 404}
	eachWay(t, func(env *cgi.Environ, start cgi.StartResponse) (cgi.Body, error) { return nil, refused }, func(t *testing.T, r *run) {
		if r.result.Code != 404 || r.result.Err != refused {
			t.Errorf("%d, %v", r.result.Code, r.result.Err)
		}
	})
}

// between returns a middleware around a validated application, validated itself.
func between(app cgi.WSGI, middleware func(cgi.Body) (cgi.Body, error)) cgi.App {
	inner := validate.WSGI(app)
	return &validate.App{App: cgi.WSGI(func(env *cgi.Environ, start cgi.StartResponse) (cgi.Body, error) {
		body, err := inner(env, start)
		if err != nil {
			return nil, err
		}
		return middleware(body)
	})}
}

func TestV34NextAfterClose(t *testing.T) {
	serveApp(t, new(cgi.Handler), request(), between(yields("x"), func(b cgi.Body) (cgi.Body, error) {
		b.Close()
		for range 2 {
			block, err := b.Next()
			if e, ok := err.(*validate.Error); !ok || e.Rule != "V34" || block != nil {
				t.Errorf("%q, %v", block, err)
			}
		}
		return cgi.Blocks([]byte("other")), nil
	})).broke(t, "V34")
}

func TestV36StartBeforeTheFirstBlock(t *testing.T) {
	breaks(t, "V36", func(env *cgi.Environ, start cgi.StartResponse) (cgi.Body, error) { return cgi.Blocks([]byte("x")), nil })
	breaks(t, "V36", func(env *cgi.Environ, start cgi.StartResponse) (cgi.Body, error) {
		return cgi.Seq(func(yield func([]byte, error) bool) {
			if !yield(nil, nil) {
				return
			}
			start("200 OK", []cgi.Field{plain}, nil)
			yield([]byte("x"), nil)
		}), nil
	})
	// A head that the gateway has refused is another matter.
	eachWay(t, func(env *cgi.Environ, start cgi.StartResponse) (cgi.Body, error) {
		start("200 OK", []cgi.Field{plain, length("x")}, nil)
		return cgi.Blocks([]byte("x")), nil
	}, func(t *testing.T, r *run) {
		if !errors.Is(r.result.Err, cgi.ErrField) || r.sink.String() != errorPage {
			t.Errorf("%v, got %q", r.result.Err, r.sink)
		}
	})
	// A body that starts the response when it is first read is in time.
	keeps(t, plainHead+"x", func(env *cgi.Environ, start cgi.StartResponse) (cgi.Body, error) {
		return cgi.Seq(func(yield func([]byte, error) bool) {
			if _, err := start("200 OK", []cgi.Field{plain}, nil); err != nil {
				yield(nil, err)
				return
			}
			yield([]byte("x"), nil)
		}), nil
	})
}

// A closeCounter is a body that counts.
type closeCounter struct {
	cgi.Body
	closed int
}

func (c *closeCounter) Close() error {
	c.closed++
	return c.Body.Close()
}

func TestV37Closed(t *testing.T) {
	for name, c := range map[string]struct {
		middleware func(cgi.Body) (cgi.Body, error)
		rule       string
		closed     int
	}{
		"once":       {func(b cgi.Body) (cgi.Body, error) { return b, nil }, "", 1},
		"never":      {func(b cgi.Body) (cgi.Body, error) { return blocksOf("other"), nil }, "V37", 0},
		"on failure": {func(b cgi.Body) (cgi.Body, error) { return nil, errors.New("other") }, "V37", 0},
		"twice": {func(b cgi.Body) (cgi.Body, error) {
			if err := b.Close(); err != nil {
				t.Error(err)
			}
			if e, ok := b.Close().(*validate.Error); !ok || e.Rule != "V37" {
				t.Errorf("error %v", e)
			}
			return blocksOf("other"), nil
		}, "V37", 1},
		"before it is returned": {func(b cgi.Body) (cgi.Body, error) { return b, b.Close() }, "V34", 1},
	} {
		t.Run(name, func(t *testing.T) {
			body := &closeCounter{Body: blocksOf()}
			r := serveApp(t, new(cgi.Handler), request(), between(func(env *cgi.Environ, start cgi.StartResponse) (cgi.Body, error) {
				_, err := start("200 OK", []cgi.Field{plain}, nil)
				return body, err
			}, c.middleware))
			if c.rule == "" {
				r.kept(t)
			} else {
				var e *validate.Error
				if !errors.As(r.result.Err, &e) || e.Rule != c.rule {
					t.Errorf("error %v", r.result.Err)
				}
			}
			if body.closed != c.closed {
				t.Errorf("closed %d times", body.closed)
			}
		})
	}
	// The gateway closes it, also that of an application that fails.
	for _, ending := range []error{nil, errors.New("broken")} {
		for name, validated := range around {
			body := &closeCounter{Body: blocksOf("x")}
			serveApp(t, new(cgi.Handler), request(), validated(func(env *cgi.Environ, start cgi.StartResponse) (cgi.Body, error) {
				if _, err := start("200 OK", []cgi.Field{plain}, nil); err != nil {
					return nil, err
				}
				return body, ending
			}))
			if body.closed != 1 {
				t.Errorf("%s: closed %d times", name, body.closed)
			}
		}
	}
}

// TestV43Length: the gateway sees no length, and no File.
func TestV43Length(t *testing.T) {
	keeps(t, plainHead+"x", yields("x"))
	// Of nothing at all it knows the length.
	keeps(t, strings.TrimSuffix(plainHead, "\r\n")+"Content-Length: 0\r\n\r\n", yields())
	for _, validated := range around {
		h := &cgi.Handler{SendFile: func(w cgi.ResponseWriter, f *cgi.File) (bool, error) {
			t.Error("SendFile is called")
			return false, nil
		}}
		r := serveApp(t, h, request(), validated(func(env *cgi.Environ, start cgi.StartResponse) (cgi.Body, error) {
			_, err := start("200 OK", []cgi.Field{plain}, nil)
			return &cgi.File{R: strings.NewReader("x")}, err
		}))
		if r.kept(t); r.sink.String() != plainHead+"x" {
			t.Errorf("got %q", r.sink)
		}
	}
}

func TestV49WriteAfterReturn(t *testing.T) {
	for _, careless := range []bool{false, true} {
		breaks(t, "V49", func(env *cgi.Environ, start cgi.StartResponse) (cgi.Body, error) {
			write, err := start("200 OK", []cgi.Field{plain}, nil)
			return cgi.Seq(func(yield func([]byte, error) bool) {
				if err := write([]byte("x")); err != nil && !careless {
					yield(nil, err)
					return
				}
				yield([]byte("y"), nil)
			}), err
		})
	}
	keeps(t, plainHead+"xy", func(env *cgi.Environ, start cgi.StartResponse) (cgi.Body, error) {
		write, err := start("200 OK", []cgi.Field{plain}, nil)
		if err == nil {
			err = write([]byte("x"))
		}
		return blocksOf("y"), err
	})
}

func TestV50StartTwice(t *testing.T) {
	for _, careless := range []bool{false, true} {
		breaks(t, "V50", func(env *cgi.Environ, start cgi.StartResponse) (cgi.Body, error) {
			if _, err := start("200 OK", []cgi.Field{plain}, nil); err != nil {
				t.Error(err)
			}
			_, err := start("201 Created", []cgi.Field{plain}, nil)
			if !errors.Is(err, cgi.ErrHeadersSet) {
				t.Errorf("error %v", err)
			}
			if careless {
				err = nil
			}
			return blocksOf(), err
		})
		serve(t, request(), func(w cgi.ResponseWriter, r *cgi.Request) error {
			if err := hello(w, r); err != nil {
				return err
			}
			if err := hello(w, r); !careless {
				return err
			}
			return nil
		}).broke(t, "V50")
	}
	// With a cause it is no mistake, before and after the head has been sent.
	cause := errors.New("cause")
	keeps(t, "Status: 404 Not Found\r\nContent-Type: text/plain\r\n\r\nnone", func(env *cgi.Environ, start cgi.StartResponse) (cgi.Body, error) {
		start("200 OK", []cgi.Field{plain}, nil)
		_, err := start("404 Not Found", []cgi.Field{plain}, cause)
		return blocksOf("none"), err
	})
	eachWay(t, func(env *cgi.Environ, start cgi.StartResponse) (cgi.Body, error) {
		write, _ := start("200 OK", []cgi.Field{plain}, nil)
		write([]byte("x"))
		_, err := start("404 Not Found", []cgi.Field{plain}, cause)
		return nil, err
	}, func(t *testing.T, r *run) {
		if !errors.Is(r.result.Err, cause) || errors.As(r.result.Err, new(*validate.Error)) || r.result.End != cgi.Truncated {
			t.Errorf("%v: %v", r.result.End, r.result.Err)
		}
	})
}
