package scgi

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"gatehouse/cgi"
	"gatehouse/internal/testkit"
)

func TestG1MalformedNetstringIsRefused(t *testing.T) {
	tests := []struct{ in, reason string }{
		{":,", "no length"},
		{"05:abcd\x00,", "leading zero"},
		{"abc", "0x61"},
		{"24:CONTENT_LENGTH\x000\x00SCGI\x001\x00;", "comma"},
	}
	each(t, func(t *testing.T, network string) {
		for _, tt := range tests {
			s := serve(t, network, &Server{App: refuseToRun(t)})
			c := s.dial(t)
			peer := s.addr.String()
			if network == "tcp" {
				peer = c.LocalAddr().String()
			}
			wantStatus(t, c.send([]byte(tt.in)).answer(), "400 Bad Request")
			c.Close()
			s.Shutdown(t.Context())
			oneLine(t, &s.log, tt.reason, peer, "status=400")
		}
	})
}

// TestG1MistakenProtocol: a peer that does not speak SCGI gets a response that it can read, and
// the log says what to do.
func TestG1MistakenProtocol(t *testing.T) {
	tests := []struct{ in, response, log string }{
		{"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 400 Bad Request\r\n", "HTTP came to an SCGI listener"},
		{"\x01\x01\x00\x01\x00\x08\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00", "\x01\x07\x00\x01", "use scgi_pass, not fastcgi_pass"},
		{"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "HTTP/1.1 400 Bad Request\r\n", "TLS came to an SCGI listener"},
	}
	each(t, func(t *testing.T, network string) {
		for _, tt := range tests {
			s := serve(t, network, &Server{App: refuseToRun(t)})
			c := s.dial(t)
			peer := s.addr.String()
			if network == "tcp" {
				peer = c.LocalAddr().String()
			}
			if got := c.send([]byte(tt.in)).answer(); !strings.HasPrefix(string(got), tt.response) {
				t.Errorf("%q: got %q; want %q", tt.in, got, tt.response)
			}
			c.Close()
			s.Shutdown(t.Context())
			oneLine(t, &s.log, tt.log, peer, "listener="+s.addr.String(), "level=WARN")
		}
	})
}

// refuseToRun is an application that no request may reach.
func refuseToRun(t *testing.T) cgi.App {
	return cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
		t.Errorf("the application was run with %q", r.Env.Strings())
		return nil
	})
}

func TestG2LargeHeadIsRefused(t *testing.T) {
	each(t, func(t *testing.T, network string) {
		s := serve(t, network, &Server{App: refuseToRun(t)})
		wantStatus(t, s.do(t, []byte("1048577:")), "431 Request Header Fields Too Large")
		wantStatus(t, s.do(t, []byte("99999999")), "431 Request Header Fields Too Large")

		s = serve(t, network, &Server{App: hello, Limits: cgi.Limits{ParamsBytes: 40, ParamsCount: 3}})
		wantStatus(t, s.do(t, request("", "A=1")), "200 OK")
		wantStatus(t, s.do(t, request("", "A=12345678901234")), "431 Request Header Fields Too Large")
		wantStatus(t, s.do(t, request("", "A=1", "B=2")), "431 Request Header Fields Too Large")
	})
}

func TestG3BrokenBlockIsRefused(t *testing.T) {
	each(t, func(t *testing.T, network string) {
		for block, reason := range map[string]string{
			"CONTENT_LENGTH\x000\x00SCGI\x001":              "does not end in a NUL",
			"CONTENT_LENGTH\x000\x00SCGI\x001\x00A\x00":     "has no value",
			"CONTENT_LENGTH\x000\x00SCGI\x001\x00\x00A\x00": "without a name",
		} {
			s := serve(t, network, &Server{App: refuseToRun(t)})
			wantStatus(t, s.do(t, AppendNetstring(nil, []byte(block))), "400 Bad Request")
			s.Shutdown(t.Context())
			oneLine(t, &s.log, reason, "status=400")
		}
		s := serve(t, network, &Server{App: echo})
		wantBody(t, s.do(t, request("", "EMPTY=")), echoed("", "", 0, "CONTENT_LENGTH=0", "SCGI=1", "EMPTY="))
	})
}

func TestG4ContentLength(t *testing.T) {
	each(t, func(t *testing.T, network string) {
		s := serve(t, network, &Server{App: echo})
		for _, vars := range [][]string{
			{"SCGI=1"},
			{"CONTENT_LENGTH=", "SCGI=1"},
			{"CONTENT_LENGTH=-1", "SCGI=1"},
			{"CONTENT_LENGTH=+3", "SCGI=1"},
			{"CONTENT_LENGTH=3 ", "SCGI=1"},
			{"CONTENT_LENGTH=0x3", "SCGI=1"},
			{"CONTENT_LENGTH=99999999999999999999", "SCGI=1"},
		} {
			wantStatus(t, s.do(t, head(vars...), []byte("abc")), "411 Length Required")
		}
		// The order is not held against a peer.
		vars := []string{"SCGI=1", "A=1", "CONTENT_LENGTH=3"}
		wantBody(t, s.do(t, head(vars...), []byte("abc")), echoed("abc", "", 3, vars...))
		// nginx, unbuffered, sends what had arrived so far.
		vars = []string{"CONTENT_LENGTH=1", "SCGI=1", "HTTP_CONTENT_LENGTH=3"}
		wantBody(t, s.do(t, head(vars...), []byte("abc")), echoed("abc", "", 3, vars...))
	})
}

func TestG5SCGIVariable(t *testing.T) {
	each(t, func(t *testing.T, network string) {
		for _, b := range [][]byte{
			head("CONTENT_LENGTH=0"), head("CONTENT_LENGTH=0", "SCGI=2"), head("CONTENT_LENGTH=0", "SCGI="),
			[]byte("0:,"),
		} {
			s := serve(t, network, &Server{App: refuseToRun(t)})
			wantStatus(t, s.do(t, b), "400 Bad Request")
			s.Shutdown(t.Context())
			oneLine(t, &s.log, "SCGI", "status=400")
		}
	})
}

func TestG6RepeatedNamesAreJoined(t *testing.T) {
	each(t, func(t *testing.T, network string) {
		s := serve(t, network, &Server{App: echo})
		got := s.do(t, request("", "HTTP_X_A=one", "HTTP_COOKIE=a=1", "HTTP_X_A=two", "HTTP_COOKIE=b=2", "X=1", "X=2"))
		wantBody(t, got, echoed("", "", 0, "CONTENT_LENGTH=0", "SCGI=1", "HTTP_X_A=one, two", "HTTP_COOKIE=a=1; b=2", "X=2"))
	})
}

func TestG7VariablesArriveAsSent(t *testing.T) {
	each(t, func(t *testing.T, network string) {
		vars := []string{"PATH_INFO=/a b/\xc3\xa9\xff", "QUERY_STRING=x=%C3%A9&y", "lower-case=1", "EMPTY="}
		s := serve(t, network, &Server{App: echo})
		wantBody(t, s.do(t, request("", vars...)), echoed("", "", 0, append([]string{"CONTENT_LENGTH=0", "SCGI=1"}, vars...)...))
	})
}

func TestG8BodyIsExactlyItsLength(t *testing.T) {
	each(t, func(t *testing.T, network string) {
		s := serve(t, network, &Server{App: echo, HalfClose: true})
		vars := []string{"CONTENT_LENGTH=5", "SCGI=1"}
		wantBody(t, s.do(t, request("hello")), echoed("hello", "", 5, vars...))
		// Bytes beyond are ignored, and do not cost the answer.
		wantBody(t, s.do(t, append(request("hello"), "beyond"...)), echoed("hello", "", 5, vars...))
		// Fewer are never passed off as the whole.
		for _, part := range []string{"", "h", "hell"} {
			c := s.dial(t).send(head(vars...), []byte(part)).closeWrite()
			wantBody(t, c.answer(), echoed(part, "unexpected EOF", 5, vars...))
		}
	})
}

// TestRequestInPieces cuts a request at every byte.
func TestRequestInPieces(t *testing.T) {
	each(t, func(t *testing.T, network string) {
		s := serve(t, network, &Server{App: echo})
		b := request("hello", "REQUEST_METHOD=POST")
		want := s.do(t, b)
		wantBody(t, want, echoed("hello", "", 5, "CONTENT_LENGTH=5", "SCGI=1", "REQUEST_METHOD=POST"))
		for i := range b {
			if got := s.do(t, b[:i], b[i:]); got != want {
				t.Errorf("cut at %d: %q", i, got)
			}
		}
		var bytes [][]byte
		for i := range b {
			bytes = append(bytes, b[i:i+1])
		}
		if got := s.do(t, bytes...); got != want {
			t.Errorf("byte by byte: %q", got)
		}
	})
}

// TestLargeHeads have sizes around those of the buffers.
func TestLargeHeads(t *testing.T) {
	each(t, func(t *testing.T, network string) {
		s := serve(t, network, &Server{App: echo})
		empty := len(request("hello", "A="))
		for _, size := range []int{16<<10 - 2, 16<<10 - 1, 16 << 10, 16<<10 + 1, 16<<10 + 4, 16<<10 + 5, 16<<10 + 6, 16<<10 + 7, 32 << 10, 40000, 70000, 1 << 20} {
			// The digits of the length grow with it, which moves the size by a few bytes.
			value := strings.Repeat("v", size-empty)
			if size == 1<<20 {
				value = value[:len(value)-100]
			}
			want := echoed("hello", "", 5, "CONTENT_LENGTH=5", "SCGI=1", "A="+value)
			wantBody(t, s.do(t, request("hello", "A="+value)), want)
			c := s.dial(t)
			go func() { c.Write(request("hello", "A="+value)) }()
			wantBody(t, c.answer(), want)
			c.Close()
			b := request("", "A="+value)
			wantBody(t, s.do(t, b[:len(b)-1], b[len(b)-1:]), echoed("", "", 0, "CONTENT_LENGTH=0", "SCGI=1", "A="+value))
		}
	})
}

func TestLargeBodies(t *testing.T) {
	each(t, func(t *testing.T, network string) {
		app := cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
			b, err := io.ReadAll(r.Body)
			if err != nil {
				return err
			}
			if err := w.StartResponse("200 OK", nil); err != nil {
				return err
			}
			_, err = w.Write(b)
			return err
		})
		s := serve(t, network, &Server{App: app})
		for _, n := range []int{1, 2, 4095, 4096, 4097, 16 << 10, 20000, 1 << 20, 5<<20 + 3} {
			body := strings.Repeat("0123456789abcdef\n", n/17+1)[:n]
			c := s.dial(t)
			sent := make(chan error, 1)
			go func() {
				_, err := c.Write(request(body))
				sent <- err
			}()
			got := c.answer()
			if err := <-sent; err != nil {
				t.Fatal(err)
			}
			if _, b, _ := strings.Cut(got, "\r\n\r\n"); b != body {
				t.Errorf("%d bytes came back as %d", n, len(b))
			}
			c.Close()
		}
	})
}

func TestG9ConnectionEndsWithItsAnswer(t *testing.T) {
	each(t, func(t *testing.T, network string) {
		var mu sync.Mutex
		runs := 0
		s := serve(t, network, &Server{App: cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
			mu.Lock()
			defer mu.Unlock()
			runs++
			return text(w, "hello")
		})})
		// A second request on the connection is bytes beyond the first.
		wantBody(t, s.do(t, append(request(""), request("")...)), "hello")
		mu.Lock()
		defer mu.Unlock()
		if runs != 1 {
			t.Errorf("%d requests were run", runs)
		}
	})
}

func TestG10AnswerBeginsWithStatus(t *testing.T) {
	each(t, func(t *testing.T, network string) {
		s := serve(t, network, &Server{App: hello})
		want := "Status: 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello"
		if got := s.do(t, request("")); got != want {
			t.Errorf("%q, want %q", got, want)
		}
		s = serve(t, network, &Server{App: cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
			return errors.New("broken")
		})})
		wantStatus(t, s.do(t, request("")), "500 Internal Server Error")
		s.Shutdown(t.Context())
		oneLine(t, &s.log, "broken")
	})
}

// TestG14SpecificationExample feeds the example of the specification.
func TestG14SpecificationExample(t *testing.T) {
	const example = "70:" +
		"CONTENT_LENGTH\x0027\x00" +
		"SCGI\x001\x00" +
		"REQUEST_METHOD\x00POST\x00" +
		"REQUEST_URI\x00/deepthought\x00" +
		"," +
		"What is the answer to life?"
	const answer = "Status: 200 OK\r\n" +
		"Content-Type: text/plain\r\n" +
		"Content-Length: 2\r\n" +
		"\r\n" +
		"42"
	block, body, err := ParseNetstring([]byte(example), 100)
	if err != nil || len(block) != 70 || len(body) != 27 {
		t.Fatalf("block of %d bytes, body of %d, error %v", len(block), len(body), err)
	}
	if got := request(string(body), "REQUEST_METHOD=POST", "REQUEST_URI=/deepthought"); !bytes.Equal(got, []byte(example)) {
		t.Errorf("encoded as %q", got)
	}
	app := cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
		b, err := io.ReadAll(r.Body)
		if err != nil {
			return err
		}
		if r.Env.Get("REQUEST_METHOD") != "POST" || r.Env.Get("REQUEST_URI") != "/deepthought" || string(b) != "What is the answer to life?" {
			return fmt.Errorf("got %q with %q", r.Env.Strings(), b)
		}
		return text(w, "42")
	})
	each(t, func(t *testing.T, network string) {
		s := serve(t, network, &Server{App: app})
		if got := s.do(t, []byte(example)); got != answer {
			t.Errorf("%q, want %q", got, answer)
		}
	})
}

func TestServeHTTP(t *testing.T) {
	l := testkit.Listen(t, "tcp")
	done := make(chan error, 1)
	go func() {
		done <- Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			b, _ := io.ReadAll(r.Body)
			fmt.Fprintf(w, "%s %s %s", r.Method, r.URL, b)
		}))
	}()
	s := &testServer{network: "tcp", addr: l.Addr()}
	wantBody(t, s.do(t, request("hi", "REQUEST_METHOD=PUT", "SCRIPT_NAME=", "PATH_INFO=/x", "REQUEST_URI=/x?y",
		"QUERY_STRING=y", "SERVER_PROTOCOL=HTTP/1.1", "HTTP_HOST=h")), "PUT /x?y hi")
	// The URL is REQUEST_URI, as with net/http/fcgi.
	wantBody(t, s.do(t, request("", "REQUEST_METHOD=GET", "SCRIPT_NAME=/app.scgi", "QUERY_STRING=z", "REQUEST_URI=/blog?p=1")), "GET /blog?p=1 ")
	l.Close()
	if err := <-done; err == nil {
		t.Error("Serve returned nil")
	}
}
