package simpleserver

import (
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"testing"

	"gatehouse/cgi"
	"gatehouse/cgi/validate"
	"gatehouse/internal/testkit"
)

const wsgiServer = "WSGIServer/0.2 CPython/3.11.7"

// helloWSGI is hello_app of CPython's tests.
func helloWSGI(_ *cgi.Environ, start cgi.StartResponse) (cgi.Body, error) {
	_, err := start("200 OK", helloFields, nil)
	return cgi.Blocks([]byte("Hello, world!")), err
}

// TestWsgirefSimpleServer holds the cases of CPython's test_wsgiref.py that are
// about the server, by their order there.
func TestWsgirefSimpleServer(t *testing.T) {
	const page500 = "A server error occurred.  Please contact the administrator."
	greeting := func(length string) string {
		return "HTTP/1.0 200 OK\r\nServer: " + wsgiServer + "\r\nContent-Type: text/plain\r\n" +
			"Date: Mon, 05 Jun 2006 18:49:54 GMT\r\n" + length + "\r\nHello, world!"
	}
	// runAmock is the helper of that name there: one request, and what the server
	// sends and logs.
	runAmock := func(t *testing.T, app cgi.App, request string) (out string, ts *testServer) {
		ts = start(t, &Server{App: app, Software: wsgiServer, Compat: true})
		out = ts.ask(request)
		ts.Close()
		return out, ts
	}
	const get = "GET / HTTP/1.0\n\n"
	failing := func(t *testing.T, app cgi.App, text string) {
		t.Helper()
		out, ts := runAmock(t, app, get)
		if !strings.HasPrefix(out, "HTTP/1.0 500 Internal Server Error\r\n") || !strings.HasSuffix(out, page500) {
			t.Errorf("got %q", out)
		}
		if !strings.Contains(ts.log.String(), text) {
			t.Errorf("log %q does not tell %q", ts.log.String(), text)
		}
	}
	withStatus := func(status string) cgi.App {
		return cgi.WSGI(func(_ *cgi.Environ, start cgi.StartResponse) (cgi.Body, error) {
			_, err := start(status, helloFields, nil)
			return cgi.Blocks([]byte("Hello, world!")), err
		})
	}
	t.Run("001_plain_hello", func(t *testing.T) {
		if out, _ := runAmock(t, cgi.WSGI(helloWSGI), get); out != greeting("Content-Length: 13\r\n") {
			t.Errorf("got %q", out)
		}
	})
	t.Run("002_environ", func(t *testing.T) {
		app := answer(func(r *cgi.Request) string {
			return r.Env.Get("HTTP_X_TEST_HEADER") + ";" + r.Env.Get("QUERY_STRING") + ";" + r.Env.Get("PATH_INFO")
		})
		out, _ := runAmock(t, app, "GET /p%61th/?query=test HTTP/1.0\nX-Test-Header: Python test \n"+
			"X-Test-Header: Python test 2\nContent-Length: 0\n\n")
		if body := bodyOf(out); body != "Python test,Python test 2;query=test;/path/" {
			t.Errorf("got %q", body)
		}
	})
	t.Run("003_request_length", func(t *testing.T) {
		out, ts := runAmock(t, hello, "GET "+strings.Repeat("x", 65537)+" HTTP/1.0\n\n")
		if statusOf(out) != "HTTP/1.0 414 Request-URI Too Long" {
			t.Errorf("got %q", out)
		}
		if !strings.HasSuffix(ts.access.String(), "\"\" 414 -\n") {
			t.Errorf("access log %q", ts.access.String())
		}
	})
	t.Run("004_validated_hello", func(t *testing.T) {
		out, ts := runAmock(t, validate.WSGI(helloWSGI), get)
		if out != greeting("") {
			t.Errorf("got %q", out)
		}
		if ts.log.String() != "" {
			t.Errorf("log %q", ts.log.String())
		}
	})
	t.Run("005_simple_validation_error", func(t *testing.T) {
		// A list of fields is always a list here; an invalid field stands for the tuple.
		failing(t, validate.WSGI(func(_ *cgi.Environ, start cgi.StartResponse) (cgi.Body, error) {
			_, err := start("200 OK", []cgi.Field{{Name: "Content:Type", Value: "text/plain"}}, nil)
			return cgi.Blocks([]byte("Hello, world!")), err
		}), "validate: V24: ")
	})
	for i, c := range [][2]string{{"200", "at least 4 characters"}, {"20X OK", "must begin with a 3-digit code"},
		{"200OK", "must have a space after the code"}} {
		t.Run(fmt.Sprintf("%03d_status_%s", 6+i, c[0]), func(t *testing.T) {
			failing(t, withStatus(c[0]), c[1])
		})
	}
	t.Run("009_wsgi_input", func(t *testing.T) {
		// read() without a size cannot be written here; an empty buffer is as wrong.
		failing(t, validate.WSGI(func(env *cgi.Environ, start cgi.StartResponse) (cgi.Body, error) {
			_, err := env.Request().Body.Read(nil)
			return nil, err
		}), "validate: V38: ")
	})
	t.Run("010_bytes_validation", func(t *testing.T) {
		app := func(_ *cgi.Environ, start cgi.StartResponse) (cgi.Body, error) {
			_, err := start("200 OK", []cgi.Field{{Name: "Content-Type", Value: "text/plain; charset=utf-8"},
				{Name: "Date", Value: "Wed, 24 Dec 2008 13:29:32 GMT"}}, nil)
			return cgi.Blocks([]byte("data")), err
		}
		out, ts := runAmock(t, validate.WSGI(app), get)
		if want := "HTTP/1.0 200 OK\r\nServer: " + wsgiServer + "\r\nContent-Type: text/plain; charset=utf-8\r\n" +
			"Date: Wed, 24 Dec 2008 13:29:32 GMT\r\n\r\ndata"; out != want {
			t.Errorf("got %q", out)
		}
		if line := ts.access.String(); line != "127.0.0.1 - - [05/Jun/2006 12:00:00] \"GET / HTTP/1.0\" 200 4\n" {
			t.Errorf("access log %q", line)
		}
	})
	t.Run("011_cp1252_url", func(t *testing.T) {
		app := answer(func(r *cgi.Request) string { return r.Env.Get("PATH_INFO") })
		out, _ := runAmock(t, app, "GET /\x80%80 HTTP/1.0")
		if lines := strings.Split(out, "\r\n"); len(lines) != 7 || lines[0] != "HTTP/1.0 200 OK" || lines[6] != "/\x80\x80" {
			t.Errorf("got %q", lines)
		}
	})
	t.Run("012_interrupted_write", func(t *testing.T) {
		// Interrupted system calls are the runtime's; what is left is an answer that fills
		// every buffer while the client does not read.
		const size = 16 << 20
		s := &Server{App: cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
			if err := w.StartResponse("200 OK", nil); err != nil {
				return err
			}
			_, err := w.Write(make([]byte, size))
			return err
		}), AccessLog: io.Discard}
		defer s.Close()
		l := testkit.Listen(t, "tcp")
		received := make(chan int, 1)
		go func() {
			out, _ := askAt(l.Addr().String(), "GET / HTTP/1.1\r\n\r\n")
			received <- len(bodyOf(out))
		}()
		if err := s.HandleOne(l); err != nil {
			t.Error(err)
		}
		if n := <-received; n != size {
			t.Errorf("the client received %d bytes of %d", n, size)
		}
	})
	number := 91
	for _, software := range []string{"FooBar/1.0", ""} {
		for _, version := range []string{"1.0", "1.1"} {
			for _, protocol := range []string{"HTTP/0.9", "HTTP/1.0", "HTTP/1.1"} {
				h := &cgi.Head{Code: 200, Status: "200 OK", Fields: []cgi.Field{{Name: "Content-Length", Value: "0"}}}
				t.Run(fmt.Sprintf("%03d_cgi", number), func(t *testing.T) {
					if got := string(h.AppendCGI(nil)); got != "Status: 200 OK\r\nContent-Length: 0\r\n\r\n" {
						t.Errorf("got %q", got)
					}
				})
				t.Run(fmt.Sprintf("%03d_origin", number+1), func(t *testing.T) {
					server := ""
					if software != "" {
						server = "Server: " + software + "\r\n"
					}
					want := regexp.QuoteMeta("HTTP/"+version+" 200 OK\r\n") + `Date: \w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT` +
						regexp.QuoteMeta("\r\n"+server+"Content-Length: 0\r\n\r\n")
					if protocol == "HTTP/0.9" {
						want = ""
					}
					got := preamble{version, software}.append(nil, protocol, h, noon)
					if !regexp.MustCompile("^" + want + "$").Match(got) {
						t.Errorf("got %q", got)
					}
				})
				number += 2
			}
		}
	}
	if number != 115 {
		t.Errorf("the cases end before %d", number)
	}
}

// TestOwnDateAndServer keeps what the application says, spelt as it is.
func TestOwnDateAndServer(t *testing.T) {
	ts := start(t, &Server{App: cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
		return w.StartResponse("200 ", []cgi.Field{{Name: "SERVER", Value: "Own"}, {Name: "X", Value: "1"}, {Name: "date", Value: "now"}})
	})})
	want := "HTTP/1.0 200 \r\nSERVER: Own\r\nX: 1\r\ndate: now\r\nContent-Length: 0\r\n\r\n"
	if got := ts.ask("GET / HTTP/1.1\r\n\r\n"); got != want {
		t.Errorf("got %q", got)
	}
}

// TestErrorAfterHead: the access log has its line, and the client meets a reset.
func TestErrorAfterHead(t *testing.T) {
	for name, end := range map[string]func() error{
		"error": func() error { return errors.New("broken") },
		"panic": func() error { panic("broken") },
	} {
		t.Run(name, func(t *testing.T) {
			ts := start(t, &Server{App: cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
				if err := w.StartResponse("200 OK", nil); err != nil {
					return err
				}
				io.WriteString(w, "part")
				w.Flush()
				return end()
			})})
			c := ts.dial()
			io.WriteString(c, "GET / HTTP/1.0\r\n\r\n")
			if _, err := io.ReadAll(c); !isReset(err) {
				t.Errorf("the client got %v, no reset", err)
			}
			ts.Close()
			if got := ts.access.String(); !strings.HasSuffix(got, "\"GET / HTTP/1.0\" 200 4\n") || strings.Count(got, "\n") != 1 {
				t.Errorf("access log %q", got)
			}
		})
	}
}
