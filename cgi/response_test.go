package cgi

import (
	"bytes"
	"cmp"
	"errors"
	"io"
	"log/slog"
	"strings"
	"syscall"
	"testing"
)

func TestRefusedStatus(t *testing.T) {
	for status, why := range map[string]string{
		"100 Continue":           "200 or more",
		"103 Early Hints":        "200 or more",
		"099 Low":                "200 or more",
		"200":                    "at least 4 characters",
		"":                       "at least 4 characters",
		"20X OK":                 "3-digit code",
		"200OK":                  "space after the code",
		"٢٠٠ OK":                 "3-digit code",
		"200 OK\r\nX: y":         "control character",
		"200 O\x7fK":             "control character",
		"200 OK\x00":             "control character",
		"-12 Negative":           "3-digit code",
		"200 " + "\n" + "\nbody": "control character",
	} {
		r := serve(t, "GET", answer(status, nil, "body"))
		r.want(t, Complete, errorPage500)
		if !errors.Is(r.result.Err, ErrStatus) || !strings.Contains(r.result.Err.Error(), why) {
			t.Errorf("%q: error %v does not say %q", status, r.result.Err, why)
		}
	}
}

func TestNoBodyNoLengthOn204And304(t *testing.T) {
	for _, status := range []string{"204 No Content", "304 Not Modified"} {
		for _, method := range []string{"GET", "HEAD", "POST"} {
			for _, fields := range [][]string{{"Etag: 1"}, {"Etag: 1", "Content-Length: 3"}} {
				r := serve(t, method, answer(status, fields, "xyz"))
				r.want(t, Complete, "Status: "+status+"\r\nEtag: 1\r\n\r\n")
				if r.sink.writes != 0 {
					t.Errorf("%s %s: the sink got a body", method, status)
				}
			}
		}
	}
}

func TestHEADHasNoBody(t *testing.T) {
	// What GET would get is declared if the application wrote it, or said so itself.
	serve(t, "HEAD", answer("200 OK", nil, "12345")).want(t, Complete, "Status: 200 OK\r\nContent-Length: 5\r\n\r\n")
	serve(t, "HEAD", answer("200 OK", nil, "")).want(t, Complete, "Status: 200 OK\r\n\r\n")
	serve(t, "HEAD", answer("200 OK", []string{"Content-Length: 12345"}, "")).
		want(t, Complete, "Status: 200 OK\r\nContent-Length: 12345\r\n\r\n")
	serve(t, "HEAD", func(w ResponseWriter, r *Request) error {
		w.StartResponse("200 OK", nil)
		n, err := w.Write(make([]byte, 100_000))
		if n != 100_000 || err != nil {
			t.Errorf("Write = %d, %v", n, err)
		}
		return w.Flush()
	}).want(t, Complete, "Status: 200 OK\r\n\r\n")
}

func TestConnectionFieldsAreRemoved(t *testing.T) {
	serve(t, "GET", answer("200 OK", []string{
		"Connection: close", "keep-alive: 3", "TRANSFER-ENCODING: chunked", "Te: x", "Trailer: X", "Trailers: X", "Upgrade: h2c",
		"Proxy-Connection: x", "Proxy-Authenticate: x", "Proxy-Authorization: x", "X-Kept: 1", "Date: now", "Server: me",
	}, "")).want(t, Complete, "Status: 200 OK\r\nX-Kept: 1\r\nDate: now\r\nServer: me\r\nContent-Length: 0\r\n\r\n")
}

func TestIsHopByHop(t *testing.T) {
	for _, name := range strings.Fields("Connection Keep-Alive Proxy-Authenticate Proxy-Authorization TE Trailers Transfer-Encoding Upgrade") {
		for _, n := range []string{name, strings.ToUpper(name), strings.ToLower(name)} {
			if !IsHopByHop(n) {
				t.Errorf("IsHopByHop(%q) is false", n)
			}
		}
	}
	for _, name := range strings.Fields("Accept Cache-Control Date Pragma Trailer Via Warning") {
		for _, n := range []string{name, strings.ToUpper(name), strings.ToLower(name)} {
			if IsHopByHop(n) {
				t.Errorf("IsHopByHop(%q) is true", n)
			}
		}
	}
}

func TestContentLengthLongerIsCut(t *testing.T) {
	r := serve(t, "GET", func(w ResponseWriter, r *Request) error {
		w.StartResponse("200 OK", []Field{{"Content-Length", "3"}})
		n, err := io.WriteString(w, "12345")
		if n != 3 || !errors.Is(err, ErrContentLength) {
			t.Errorf("Write = %d, %v", n, err)
		}
		n, err = io.WriteString(w, "6")
		if n != 0 || !errors.Is(err, ErrContentLength) {
			t.Errorf("the next Write = %d, %v", n, err)
		}
		return err
	})
	r.want(t, Complete, "Status: 200 OK\r\nContent-Length: 3\r\n\r\n123")
	if !errors.Is(r.result.Err, ErrContentLength) || !strings.Contains(r.log.String(), "response cut") {
		t.Errorf("error %v, log %q", r.result.Err, r.log)
	}
}

// TestContentLengthLongerOfNobody: a web server that has as much as was declared closes
// its connection without an end, and the application is to blame all the same.
func TestContentLengthLongerOfNobody(t *testing.T) {
	for name, c := range map[string]struct {
		err      error // of the application; nil: that of its Write
		vanished error // of the sink
	}{
		"found by the application": {err: ErrAborted},
		"found at the end":         {vanished: syscall.EPIPE},
	} {
		var log bytes.Buffer
		h := &Handler{Log: slog.New(slog.NewTextHandler(&log, nil))}
		res := h.Run(&Request{Env: NewEnviron("REQUEST_METHOD=GET")}, &textSink{vanished: c.vanished}, AppFunc(func(w ResponseWriter, r *Request) error {
			w.StartResponse("200 OK", []Field{{"Content-Length", "3"}})
			_, err := io.WriteString(w, "12345")
			return cmp.Or(c.err, err)
		}))
		if res.End != Aborted || !errors.Is(res.Err, ErrContentLength) || !strings.Contains(log.String(), "level=WARN msg=\"response cut\"") {
			t.Errorf("%s: %v, error %v, log %q", name, res.End, res.Err, &log)
		}
	}
}

func TestContentLengthShorterIsTruncated(t *testing.T) {
	r := serve(t, "GET", answer("200 OK", []string{"Content-Length: 10"}, "12345"))
	r.want(t, Truncated, "Status: 200 OK\r\nContent-Length: 10\r\n\r\n12345")
	if !errors.Is(r.result.Err, ErrContentLength) || r.result.ExitStatus != 1 || !strings.Contains(r.log.String(), "response truncated") {
		t.Errorf("result %+v, log %q", r.result, r.log)
	}
}

func TestContentLengthConflicts(t *testing.T) {
	serve(t, "GET", answer("200 OK", []string{"Content-Length: 1", "content-length: 1"}, "x")).
		want(t, Complete, "Status: 200 OK\r\nContent-Length: 1\r\n\r\nx")
	for _, fields := range [][]string{
		{"Content-Length: 1", "Content-Length: 2"}, {"Content-Length: -1"}, {"Content-Length: +1"}, {"Content-Length: 1,1"},
		{"Content-Length: 0x1"}, {"Content-Length: "}, {"Content-Length: 99999999999999999999"}, {"Content-Length: 9223372036854775808"},
	} {
		r := serve(t, "GET", answer("200 OK", fields, "x"))
		r.want(t, Complete, errorPage500)
		if !errors.Is(r.result.Err, ErrField) {
			t.Errorf("%q: error %v", fields, r.result.Err)
		}
	}
}

// The rules of CPython's gh-143916 and gh-144118: no C0 and no DEL in names or
// values, but HTAB in values.
func TestControlCharactersAreRefused(t *testing.T) {
	for c := range 256 {
		control := c < 0x20 || c == 0x7f
		for _, place := range []string{"start", "middle", "end"} {
			value := map[string]string{"start": string([]byte{byte(c), 'b'}), "middle": string([]byte{'a', byte(c), 'b'}), "end": string([]byte{'a', byte(c)})}[place]
			r := serve(t, "GET", answer("200 OK", []string{"X: " + value}, ""))
			if control && c != '\t' {
				r.want(t, Complete, errorPage500)
				var fe *FieldError
				if !errors.As(r.result.Err, &fe) || fe.Name != "X" {
					t.Errorf("byte %#02x: error %v", c, r.result.Err)
				}
				continue
			}
			r.want(t, Complete, "Status: 200 OK\r\nX: "+strings.Trim(value, " \t")+"\r\nContent-Length: 0\r\n\r\n")
		}
		f := Field{Name: string([]byte{'X', byte(c)}), Value: "v"}
		token := c > 0x20 && c < 0x7f && !strings.ContainsRune(`"(),/:;<=>?@[\]{}`, rune(c))
		if err := checkField(&f); (err == nil) != token {
			t.Errorf("name with byte %#02x: %v", c, err)
		}
	}
	serve(t, "GET", answer("200 OK", []string{": v"}, "")).want(t, Complete, errorPage500)
}

func TestFieldStatusIsRefused(t *testing.T) {
	for _, name := range []string{"Status", "status", "STATUS"} {
		r := serve(t, "GET", answer("200 OK", []string{name + ": 404 Not Found"}, "x"))
		r.want(t, Complete, errorPage500)
		if !errors.Is(r.result.Err, ErrField) {
			t.Errorf("error %v", r.result.Err)
		}
	}
}

func TestStartResponseOnce(t *testing.T) {
	serve(t, "GET", func(w ResponseWriter, r *Request) error {
		w.StartResponse("200 OK", nil)
		if err := w.StartResponse("404 Not Found", nil); err != ErrHeadersSet {
			t.Errorf("the second StartResponse = %v", err)
		}
		return nil
	}).want(t, Complete, "Status: 200 OK\r\nContent-Length: 0\r\n\r\n")

	// A call that failed counts, as in wsgiref.
	serve(t, "GET", func(w ResponseWriter, r *Request) error {
		w.StartResponse("bad", nil)
		if err := w.StartResponse("200 OK", nil); err != ErrHeadersSet {
			t.Errorf("StartResponse after a failed one = %v", err)
		}
		return nil
	}).want(t, Complete, errorPage500)
}

func TestStartResponseCopies(t *testing.T) {
	serve(t, "GET", func(w ResponseWriter, r *Request) error {
		fields := []Field{{"X", "y"}}
		w.StartResponse("200 OK", fields)
		fields[0] = Field{"Evil", "a\r\nSet-Cookie: b"}
		return nil
	}).want(t, Complete, "Status: 200 OK\r\nX: y\r\nContent-Length: 0\r\n\r\n")
}

// wrapped is a ResponseWriter that a middleware has put in front of another.
type wrapped struct{ ResponseWriter }

func (w wrapped) Unwrap() ResponseWriter { return w.ResponseWriter }

func TestReplaceResponse(t *testing.T) {
	cause := errors.New("cause")
	serve(t, "GET", func(w ResponseWriter, r *Request) error {
		w = wrapped{wrapped{w}}
		w.StartResponse("200 OK", []Field{{"Content-Length", "1000"}})
		io.WriteString(w, "thrown away")
		if HeadersSent(w) {
			t.Error("HeadersSent before Flush")
		}
		if err := ReplaceResponse(w, cause, "503 Later", []Field{{"X", "y"}}); err != nil {
			t.Error(err)
		}
		_, err := io.WriteString(w, "new")
		return err
	}).want(t, Complete, "Status: 503 Later\r\nX: y\r\nContent-Length: 3\r\n\r\nnew")

	r := serve(t, "GET", func(w ResponseWriter, r *Request) error {
		w = wrapped{w}
		w.StartResponse("200 OK", nil)
		w.Flush()
		if !HeadersSent(w) {
			t.Error("HeadersSent is false after Flush")
		}
		return ReplaceResponse(w, cause, "503 Later", nil)
	})
	r.want(t, Truncated, "Status: 200 OK\r\n\r\n")
	if !errors.Is(r.result.Err, cause) || !errors.Is(r.result.Err, ErrHeadersSent) {
		t.Errorf("error %v", r.result.Err)
	}
}

func TestHeldBytes(t *testing.T) {
	block := strings.Repeat("x", 1024)
	fill := func(n int, after func(ResponseWriter) error) AppFunc {
		return func(w ResponseWriter, r *Request) error {
			w.StartResponse("200 OK", nil)
			for range n {
				io.WriteString(w, block)
			}
			return after(w)
		}
	}
	nothing := func(ResponseWriter) error { return nil }
	r := serve(t, "GET", fill(16, nothing))
	r.want(t, Complete, "Status: 200 OK\r\nContent-Length: 16384\r\n\r\n"+strings.Repeat(block, 16))
	if r.sink.writes != 1 || r.result.Bytes != 16384 {
		t.Errorf("%d writes, %d bytes", r.sink.writes, r.result.Bytes)
	}
	r = serve(t, "GET", fill(17, nothing))
	r.want(t, Complete, "Status: 200 OK\r\n\r\n"+strings.Repeat(block, 17))
	if r.sink.writes != 2 || r.sink.flushes != 0 {
		t.Errorf("%d writes, %d flushes", r.sink.writes, r.sink.flushes)
	}
	r = serve(t, "GET", fill(1, ResponseWriter.Flush))
	r.want(t, Complete, "Status: 200 OK\r\n\r\n"+block)
	if r.sink.flushes != 1 {
		t.Errorf("%d flushes", r.sink.flushes)
	}
}

func TestReadFrom(t *testing.T) {
	r := serve(t, "GET", func(w ResponseWriter, r *Request) error {
		w.StartResponse("200 OK", []Field{{"Content-Length", "70000"}})
		n, err := w.(io.ReaderFrom).ReadFrom(strings.NewReader(strings.Repeat("y", 80000)))
		if n != 70000 || !errors.Is(err, ErrContentLength) {
			t.Errorf("ReadFrom = %d, %v", n, err)
		}
		return nil
	})
	r.want(t, Complete, "Status: 200 OK\r\nContent-Length: 70000\r\n\r\n"+strings.Repeat("y", 70000))
}
