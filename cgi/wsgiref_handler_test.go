package cgi

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestWsgirefHandler has the cases of CPython's test_wsgiref.HandlerTests, by their
// numbers.
func TestWsgirefHandler(t *testing.T) {
	for _, c := range []struct {
		name string
		test func(t *testing.T)
	}{
		{"080_environ", wsgirefEnviron},
		{"081_cgi_environ", wsgirefCGIEnviron},
		{"082_scheme", wsgirefScheme},
		{"084_content_length", func(t *testing.T) {
			wsgi(t, yields("data")).want(t, Complete, "Status: 200 OK\r\nContent-Length: 4\r\n\r\ndata")
		}},
		{"085_write_has_no_length", func(t *testing.T) {
			wsgi(t, func(env *Environ, start StartResponse) (Body, error) {
				write, err := start("200 OK", nil, nil)
				if err != nil {
					return nil, err
				}
				return Blocks(), write([]byte("data"))
			}).want(t, Complete, "Status: 200 OK\r\n\r\ndata")
		}},
		{"086_length_in_bytes", func(t *testing.T) {
			wsgi(t, yields("abcd\u00e4\u00e4")).want(t, Complete, "Status: 200 OK\r\nContent-Length: 8\r\n\r\nabcd\u00e4\u00e4")
		}},
		{"087_length_is_kept", func(t *testing.T) {
			r := serveWith(t, new(Handler), &Request{Env: NewEnviron("REQUEST_METHOD=HEAD")}, starts("200 OK", Field{"Content-Length", "12345"}))
			r.want(t, Complete, "Status: 200 OK\r\nContent-Length: 12345\r\n\r\n")
		}},
		{"088_basic", func(t *testing.T) {
			r := wsgi(t, starts("200 OK"))
			r.want(t, Complete, "Status: 200 OK\r\nContent-Length: 0\r\n\r\n")
			if r.log.Len() > 0 {
				t.Errorf("log %q", r.log)
			}
		}},
		{"089_error_output", func(t *testing.T) {
			r := wsgi(t, func(*Environ, StartResponse) (Body, error) { return nil, errors.New("test") })
			r.want(t, Complete, errorPage500)
			if !strings.Contains(r.log.String(), "error=test") {
				t.Errorf("log %q", r.log)
			}
		}},
		{"090_error_after_output", func(t *testing.T) {
			r := wsgi(t, func(env *Environ, start StartResponse) (Body, error) {
				write, _ := start("200 OK", nil, nil)
				write([]byte("Some output has been sent"))
				return nil, errors.New("test")
			})
			r.want(t, Truncated, "Status: 200 OK\r\n\r\nSome output has been sent")
			if !strings.Contains(r.log.String(), "error=test") {
				t.Errorf("log %q", r.log)
			}
		}},
		{"091-114_header_formats", wsgirefHeaderFormats},
		{"115_bytes", func(t *testing.T) {
			wsgi(t, func(env *Environ, start StartResponse) (Body, error) {
				_, err := start("200 OK", []Field{{"Content-Type", "text/plain; charset=utf-8"}}, nil)
				return Blocks([]byte("data")), err
			}).want(t, Complete, "Status: 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 4\r\n\r\ndata")
		}},
		{"116_close_on_error", func(t *testing.T) {
			b := &countedBody{blocks: []string{"x"}, err: errors.New("test")}
			wsgi(t, returns(b)).want(t, Truncated, "Status: 200 OK\r\n\r\nx")
			if b.closed != 1 {
				t.Errorf("closed %d times", b.closed)
			}
		}},
		{"117_short_writes", func(t *testing.T) {
			out := &shortWriter{most: 7}
			p := Program{Env: NewEnviron("REQUEST_METHOD=GET"), Stdin: strings.NewReader(""), Stdout: out, Stderr: io.Discard}
			if err := p.Serve(yields("Hello, world!")); err != nil {
				t.Error(err)
			}
			if want := "Status: 200 OK\r\nContent-Length: 13\r\n\r\nHello, world!"; out.String() != want {
				t.Errorf("got %q", out.String())
			}
		}},
		{"118_client_aborted", func(t *testing.T) { wsgirefClientGone(t, syscall.ECONNABORTED) }},
		{"119_client_gone", func(t *testing.T) { wsgirefClientGone(t, syscall.EPIPE) }},
		{"120_client_reset", func(t *testing.T) { wsgirefClientGone(t, syscall.ECONNRESET) }},
		{"121_error_of_output", func(t *testing.T) {
			broken := errors.New("disk full")
			r := serveTo(t, &textSink{failing: broken}, returns(&countedBody{blocks: []string{"x"}}))
			if r.result.Err != broken || r.result.Code != 200 || r.result.Bytes != 0 {
				t.Errorf("result %+v", r.result)
			}
		}},
		{"122_control_character_in_status", func(t *testing.T) {
			for c := range 0x20 {
				r := wsgi(t, starts("200 OK"+string(rune(c))))
				r.want(t, Complete, errorPage500)
				if !errors.Is(r.result.Err, ErrStatus) {
					t.Errorf("%#x: %v", c, r.result.Err)
				}
			}
		}},
	} {
		t.Run(c.name, c.test)
	}
}

// wsgi runs a WSGI application for a GET.
func wsgi(t *testing.T, app WSGI) run {
	t.Helper()
	return serveWith(t, new(Handler), &Request{Env: NewEnviron("REQUEST_METHOD=GET")}, app)
}

// serveTo runs an application on a sink.
func serveTo(t *testing.T, s *textSink, app App) run {
	t.Helper()
	r := run{sink: s, log: new(bytes.Buffer)}
	h := &Handler{Log: slog.New(slog.NewTextHandler(r.log, nil))}
	r.result = h.Run(&Request{Env: NewEnviron("REQUEST_METHOD=GET")}, s, app)
	return r
}

// yields is an application that returns the blocks, and starts starts a response
// without any.
func yields(blocks ...string) WSGI {
	return func(env *Environ, start StartResponse) (Body, error) {
		_, err := start("200 OK", nil, nil)
		b := make([][]byte, len(blocks))
		for i := range blocks {
			b[i] = []byte(blocks[i])
		}
		return Blocks(b...), err
	}
}

func starts(status string, fields ...Field) WSGI {
	return func(env *Environ, start StartResponse) (Body, error) {
		_, err := start(status, fields, nil)
		return Blocks(), err
	}
}

func returns(b Body) WSGI {
	return func(env *Environ, start StartResponse) (Body, error) {
		_, err := start("200 OK", nil, nil)
		return b, err
	}
}

// A countedBody yields its blocks, then fails with err if that is not nil.
type countedBody struct {
	blocks []string
	err    error
	panics bool
	closed int
}

func (b *countedBody) Next() ([]byte, error) {
	if len(b.blocks) > 0 {
		block := b.blocks[0]
		b.blocks = b.blocks[1:]
		return []byte(block), nil
	}
	if b.panics {
		panic("no more blocks")
	}
	if b.err != nil {
		return nil, b.err
	}
	return nil, io.EOF
}

func (b *countedBody) Len() int { return -1 }

func (b *countedBody) Close() error {
	b.closed++
	return nil
}

// A shortWriter takes so many bytes at a time, and reports no error.
type shortWriter struct {
	bytes.Buffer
	most int
}

func (w *shortWriter) Write(p []byte) (int, error) { return w.Buffer.Write(p[:min(len(p), w.most)]) }

func wsgirefEnviron(t *testing.T) {
	h := &Handler{
		BaseEnv:  NewEnviron("A=base", "B=base"),
		RunFlags: &RunFlags{Multithread: true, Multiprocess: true},
		Scheme:   func(env *Environ) string { return "gopher" },
	}
	body, stderr := strings.NewReader("input"), new(bytes.Buffer)
	r := &Request{Env: NewEnviron("REQUEST_METHOD=GET", "B=request", "HTTP_PROXY=evil"), Body: body, Stderr: stderr, RunOnce: true}
	serveWith(t, h, r, WSGI(func(env *Environ, start StartResponse) (Body, error) {
		if got := strings.Join(env.Strings(), " "); got != "REQUEST_METHOD=GET B=request A=base REQUEST_ID="+env.Request().RequestID() {
			t.Errorf("the variables are %s", got)
		}
		req := env.Request()
		if req != r || req.Stderr != stderr || !req.Multithread || !req.Multiprocess || req.RunOnce || env.Scheme() != "gopher" {
			t.Errorf("request %+v, scheme %q", req, env.Scheme())
		}
		_, err := start("200 OK", nil, nil)
		return Blocks(), err
	})).want(t, Complete, "Status: 200 OK\r\nContent-Length: 0\r\n\r\n")
	if r.Env.Request() != nil {
		t.Error("the variables know their request after its end")
	}
}

func wsgirefCGIEnviron(t *testing.T) {
	serveWith(t, new(Handler), &Request{Env: new(Environ)}, WSGI(func(env *Environ, start StartResponse) (Body, error) {
		r := env.Request()
		if env.Scheme() != "http" || r.Body == nil || r.Stderr == nil {
			t.Errorf("request %+v", r)
		}
		_, err := start("200 OK", nil, nil)
		return Blocks(), err
	})).want(t, Complete, "Status: 200 OK\r\nContent-Length: 0\r\n\r\n")
}

func wsgirefScheme(t *testing.T) {
	for https, want := range map[string]string{"HTTPS=on": "https", "X=y": "http"} {
		serveWith(t, new(Handler), &Request{Env: NewEnviron(https)}, WSGI(func(env *Environ, start StartResponse) (Body, error) {
			if got := env.Scheme(); got != want {
				t.Errorf("%s: %s, want %s", https, got, want)
			}
			_, err := start("200 OK", nil, nil)
			return Blocks(), err
		}))
	}
}

func wsgirefHeaderFormats(t *testing.T) {
	number := 91
	for _, software := range []string{"FooBar/1.0", ""} {
		for _, version := range []string{"1.0", "1.1"} {
			for _, proto := range []string{"HTTP/0.9", "HTTP/1.0", "HTTP/1.1"} {
				for _, origin := range []bool{false, true} {
					server := ""
					if software != "" {
						server = "Server: " + software + "\r\n"
					}
					want := "^HTTP/" + version + " 200 OK\r\nDate: \\w{3}, \\d\\d \\w{3} \\d{4} \\d\\d:\\d\\d:\\d\\d GMT\r\n" + server + "Content-Length: 0\r\n\r\n$"
					if !origin {
						want = "^Status: 200 OK\r\nContent-Length: 0\r\n\r\n$"
					} else if proto == "HTTP/0.9" {
						want = "^$"
					}
					t.Run(fmt.Sprintf("%03d_%s_%s_%s_origin_%v", number, software, version, proto, origin), func(t *testing.T) {
						h := &Handler{OriginServer: origin, HTTPVersion: version, ServerSoftware: software}
						r := serveWith(t, h, &Request{Env: NewEnviron("SERVER_PROTOCOL=" + proto)}, starts("200 OK"))
						if !regexp.MustCompile(want).MatchString(r.sink.String()) {
							t.Errorf("got %q", r.sink.String())
						}
					})
					number++
				}
			}
		}
	}
	if number != 115 {
		t.Errorf("%d cases", number-91)
	}

	now := func() time.Time { return time.Date(2026, 11, 1, 23, 59, 59, 0, time.FixedZone("", 3600)) }
	h := &Handler{OriginServer: true, Now: now, ServerSoftware: "s"}
	serveWith(t, h, &Request{Env: new(Environ)}, starts("200 OK")).
		want(t, Complete, "HTTP/1.0 200 OK\r\nDate: Sun, 01 Nov 2026 22:59:59 GMT\r\nServer: s\r\nContent-Length: 0\r\n\r\n")
	serveWith(t, h, &Request{Env: new(Environ)}, starts("200 OK", Field{"server", "mine"}, Field{"DATE", "now"})).
		want(t, Complete, "HTTP/1.0 200 OK\r\nserver: mine\r\nDATE: now\r\nContent-Length: 0\r\n\r\n")
}

func wsgirefClientGone(t *testing.T, gone error) {
	stderr := new(bytes.Buffer)
	b := &countedBody{blocks: []string{"x"}}
	h := &Handler{Log: quiet}
	res := h.Run(&Request{Env: NewEnviron("REQUEST_METHOD=GET"), Stderr: stderr}, &textSink{failing: gone}, returns(b))
	if res.End != Aborted || !errors.Is(res.Err, gone) || stderr.Len() > 0 || b.closed != 1 {
		t.Errorf("%+v, stderr %q, closed %d times", res, stderr, b.closed)
	}
}

// TestWsgirefProbes has the cases that CPython's tests lack.
func TestWsgirefProbes(t *testing.T) {
	t.Run("P1_responses_without_a_body", func(t *testing.T) {
		for _, status := range []string{"204 No Content", "304 Not Modified"} {
			wsgi(t, func(env *Environ, start StartResponse) (Body, error) {
				_, err := start(status, []Field{{"Content-Length", "4"}}, nil)
				return Blocks([]byte("data")), err
			}).want(t, Complete, "Status: "+status+"\r\n\r\n")
		}
		serveWith(t, new(Handler), &Request{Env: NewEnviron("REQUEST_METHOD=HEAD")}, yields("data")).
			want(t, Complete, "Status: 200 OK\r\nContent-Length: 4\r\n\r\n")
	})
	t.Run("P2_wrong_length", func(t *testing.T) {
		for length, want := range map[int]struct {
			end  End
			body string
		}{1: {Complete, "d"}, 9: {Truncated, "data"}} {
			wsgi(t, func(env *Environ, start StartResponse) (Body, error) {
				_, err := start("200 OK", []Field{{"Content-Length", strconv.Itoa(length)}}, nil)
				return Blocks([]byte("da"), []byte("ta")), err
			}).want(t, want.end, fmt.Sprintf("Status: 200 OK\r\nContent-Length: %d\r\n\r\n%s", length, want.body))
		}
	})
	t.Run("P3_status", func(t *testing.T) {
		for _, status := range []string{"200 OK\r\nX: y", "\u0662\u0660\u0660 OK", "100 Continue", "199 x", "200", "200OK", "20X OK", "", "2 OK"} {
			if r := wsgi(t, starts(status)); !errors.Is(r.result.Err, ErrStatus) {
				t.Errorf("%q: %v", status, r.result.Err)
			}
		}
		wsgi(t, starts("200 ")).want(t, Complete, "Status: 200 \r\nContent-Length: 0\r\n\r\n")
	})
	t.Run("P4_fields_of_the_gateway", func(t *testing.T) {
		if r := wsgi(t, starts("200 OK", Field{"Status", "404"})); !errors.Is(r.result.Err, ErrField) {
			t.Errorf("Status: %v", r.result.Err)
		}
		wsgi(t, starts("200 OK", Field{"Connection", "close"})).want(t, Complete, "Status: 200 OK\r\nContent-Length: 0\r\n\r\n")
	})
	t.Run("P5_fields_are_copied", func(t *testing.T) {
		wsgi(t, func(env *Environ, start StartResponse) (Body, error) {
			fields := []Field{{"X", "y"}}
			_, err := start("200 OK", fields, nil)
			fields[0] = Field{"X", "y\r\nSet-Cookie: evil"}
			return Blocks(), err
		}).want(t, Complete, "Status: 200 OK\r\nX: y\r\nContent-Length: 0\r\n\r\n")
	})
	t.Run("P6_started_twice", wsgirefStartedTwice)
	t.Run("P7_blocks", func(t *testing.T) {
		const head = "Status: 200 OK\r\n"
		wsgi(t, yields("")).want(t, Complete, head+"Content-Length: 0\r\n\r\n")
		long := strings.Repeat("x", bufferedBytes+1) // it is sent before the end
		wsgi(t, yields(long)).want(t, Complete, head+fmt.Sprintf("Content-Length: %d\r\n\r\n", len(long))+long)
		wsgi(t, yields("", "b")).want(t, Complete, head+"\r\nb")
		none := Seq(func(yield func([]byte, error) bool) {})
		wsgi(t, returns(none)).want(t, Complete, head+"Content-Length: 0\r\n\r\n")
		two := Seq(func(yield func([]byte, error) bool) { _ = yield([]byte("a"), nil) && yield([]byte("b"), nil) })
		wsgi(t, returns(two)).want(t, Complete, head+"\r\nab")
		file := &File{R: strings.NewReader("some text"), BlockSize: 4}
		r := wsgi(t, returns(file))
		r.want(t, Complete, head+"\r\nsome text")
		if r.sink.flushes != 3 {
			t.Errorf("%d blocks were sent on their own, want 3", r.sink.flushes)
		}
	})
	t.Run("P8_not_started", func(t *testing.T) {
		for _, b := range []Body{Blocks(), Blocks([]byte("x")), Blocks([]byte("x"), []byte("y"))} {
			r := wsgi(t, func(*Environ, StartResponse) (Body, error) { return b, nil })
			r.want(t, Complete, errorPage500)
			if !errors.Is(r.result.Err, ErrNoStart) {
				t.Errorf("error %v", r.result.Err)
			}
		}
		r := wsgi(t, func(env *Environ, start StartResponse) (Body, error) {
			_, err := start("200 OK", nil, nil)
			return nil, err
		})
		r.want(t, Complete, errorPage500)
		if r.result.Err != ErrNoBody {
			t.Errorf("error %v", r.result.Err)
		}
	})
	t.Run("P9_panic", func(t *testing.T) {
		r := wsgi(t, func(*Environ, StartResponse) (Body, error) { panic("overboard") })
		r.want(t, Complete, errorPage500)
		if !strings.Contains(r.log.String(), "overboard") {
			t.Errorf("log %q", r.log)
		}
	})
	t.Run("P10_closed_once", func(t *testing.T) {
		for name, c := range map[string]struct {
			body *countedBody
			sink textSink
			end  End
		}{
			"success": {body: &countedBody{blocks: []string{"x"}}},
			"error":   {body: &countedBody{blocks: []string{"x"}, err: errors.New("test")}, end: Truncated},
			"panic":   {body: &countedBody{blocks: []string{"x"}, panics: true}, end: Truncated},
			"abort":   {body: &countedBody{blocks: []string{"x"}}, sink: textSink{failing: syscall.EPIPE}, end: Aborted},
		} {
			r := serveTo(t, &c.sink, returns(c.body))
			if r.result.End != c.end || c.body.closed != 1 {
				t.Errorf("%s: %v, closed %d times", name, r.result.End, c.body.closed)
			}
		}
		b := new(countedBody) // returned beside an error
		wsgi(t, func(*Environ, StartResponse) (Body, error) { return b, errors.New("test") })
		if b.closed != 1 {
			t.Errorf("beside an error: closed %d times", b.closed)
		}
	})
	t.Run("P11_bytes_above_ASCII", func(t *testing.T) {
		wsgi(t, starts("200 OK", Field{"X", "\x80\xff"})).want(t, Complete, "Status: 200 OK\r\nX: \x80\xff\r\nContent-Length: 0\r\n\r\n")
	})
}

func wsgirefStartedTwice(t *testing.T) {
	cause := errors.New("cause")
	for name, c := range map[string]struct {
		calls []string // a status, "!" before it for one with a cause, or "write"
		errs  []error
		want  string
	}{
		"twice":             {[]string{"200 OK", "201 Created"}, []error{nil, ErrHeadersSet}, "Status: 200 OK\r\nContent-Length: 0\r\n\r\n"},
		"after a failure":   {[]string{"bad", "201 Created"}, []error{ErrStatus, ErrHeadersSet}, errorPage500},
		"replaced":          {[]string{"200 OK", "!500 Oops"}, []error{nil, nil}, "Status: 500 Oops\r\nContent-Length: 0\r\n\r\n"},
		"failure mended":    {[]string{"bad", "!500 Oops"}, []error{ErrStatus, nil}, "Status: 500 Oops\r\nContent-Length: 0\r\n\r\n"},
		"with a cause only": {[]string{"!500 Oops"}, []error{nil}, "Status: 500 Oops\r\nContent-Length: 0\r\n\r\n"},
		"too late":          {[]string{"200 OK", "write", "!500 Oops"}, []error{nil, nil, cause}, "Status: 200 OK\r\n\r\nx"},
	} {
		r := wsgi(t, func(env *Environ, start StartResponse) (Body, error) {
			var errs []error
			var write WriteFunc
			for _, call := range c.calls {
				var err error
				if call == "write" {
					err = write([]byte("x"))
				} else if status, ok := strings.CutPrefix(call, "!"); ok {
					_, err = start(status, nil, cause)
				} else {
					write, err = start(call, nil, nil)
				}
				errs = append(errs, err)
			}
			if !slices.EqualFunc(errs, c.errs, func(got, want error) bool { return errors.Is(got, want) }) {
				t.Errorf("%s: %v", name, errs)
			}
			return Blocks(), nil
		})
		if r.sink.String() != c.want {
			t.Errorf("%s: got %q", name, r.sink.String())
		}
	}
}
