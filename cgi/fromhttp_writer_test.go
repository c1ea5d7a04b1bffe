package cgi

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"
	"time"
)

// answerHTTP runs a function as a http.Handler.
func answerHTTP(t *testing.T, method string, h http.HandlerFunc) run {
	t.Helper()
	return serveWith(t, new(Handler), &Request{Env: NewEnviron("REQUEST_METHOD=" + method)}, FromHTTP(h))
}

func TestFromHTTPResponse(t *testing.T) {
	for _, c := range []struct {
		name, method string
		handler      http.HandlerFunc
		want         string
	}{
		{"nothing", "GET", func(w http.ResponseWriter, r *http.Request) {}, "Status: 200 OK\r\nContent-Length: 0\r\n\r\n"},
		{"a guessed type", "GET", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "<html>") },
			"Status: 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: 6\r\n\r\n<html>"},
		{"no guess over an encoding", "GET", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			io.WriteString(w, "<html>")
		}, "Status: 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 6\r\n\r\n<html>"},
		{"no guess over a nil", "GET", func(w http.ResponseWriter, r *http.Request) {
			w.Header()["Content-Type"] = nil
			io.WriteString(w, "<html>")
		}, "Status: 200 OK\r\nContent-Length: 6\r\n\r\n<html>"},
		{"fields in order", "GET", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Add("X-B", "2")
			w.Header().Add("X-A", "1")
			w.Header().Add("X-B", "1")
			w.WriteHeader(404)
			w.Header().Set("X-Late", "1")
		}, "Status: 404 Not Found\r\nX-A: 1\r\nX-B: 2\r\nX-B: 1\r\nContent-Length: 0\r\n\r\n"},
		{"many fields", "GET", func(w http.ResponseWriter, r *http.Request) {
			for i := range 10 {
				w.Header().Add("X", fmt.Sprint(i))
			}
			w.WriteHeader(299)
		}, "Status: 299 Unknown\r\nX: 0\r\nX: 1\r\nX: 2\r\nX: 3\r\nX: 4\r\nX: 5\r\nX: 6\r\nX: 7\r\nX: 8\r\nX: 9\r\nContent-Length: 0\r\n\r\n"},
		{"trailers are dropped", "GET", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Trailer", "X-A, X-B")
			w.Header().Set("X-A", "1")
			w.Header().Set(http.TrailerPrefix+"X-C", "1")
			w.WriteHeader(200)
			w.Header().Set("X-B", "1")
		}, "Status: 200 OK\r\nContent-Length: 0\r\n\r\n"},
		{"flush first", "GET", func(w http.ResponseWriter, r *http.Request) {
			w.(http.Flusher).Flush()
			io.WriteString(w, "x")
		}, "Status: 200 OK\r\n\r\nx"},
		{"HEAD", "HEAD", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "12345") },
			"Status: 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 5\r\n\r\n"},
		{"204", "GET", func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(204)
			if _, err := io.WriteString(w, "x"); err != http.ErrBodyNotAllowed {
				t.Errorf("Write on 204: %v", err)
			}
			if n, err := w.Write(nil); n != 0 || err != nil {
				t.Errorf("empty Write on 204: %v", err)
			}
		}, "Status: 204 No Content\r\n\r\n"},
		{"Content-Length", "GET", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "2")
			w.Header().Set("Content-Type", "a/b")
			if n, err := io.WriteString(w, "123"); n != 2 || err != http.ErrContentLength {
				t.Errorf("Write = %d, %v", n, err)
			}
		}, "Status: 200 OK\r\nContent-Length: 2\r\nContent-Type: a/b\r\n\r\n12"},
		{"103 is left out", "GET", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Link", "</x>")
			w.WriteHeader(103)
			w.WriteHeader(201)
		}, "Status: 201 Created\r\nLink: </x>\r\nContent-Length: 0\r\n\r\n"},
		{"101 is refused", "GET", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(101) }, errorPage500},
		{"a bad field", "GET", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X", "a\nb")
			if _, err := io.WriteString(w, "x"); !errors.Is(err, ErrField) {
				t.Errorf("Write = %v", err)
			}
			if err := http.NewResponseController(w).Flush(); !errors.Is(err, ErrField) {
				t.Errorf("Flush = %v", err)
			}
		}, errorPage500},
		{"an invalid code", "GET", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(99) }, errorPage500},
		{"ReadFrom", "GET", func(w http.ResponseWriter, r *http.Request) {
			n, err := io.Copy(w, strings.NewReader(strings.Repeat("z", 70000)))
			if n != 70000 || err != nil {
				t.Errorf("Copy = %d, %v", n, err)
			}
		}, "Status: 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n" + strings.Repeat("z", 70000)},
		{"http.Redirect", "HEAD", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/there", http.StatusFound) },
			"Status: 302 Found\r\nContent-Type: text/html; charset=utf-8\r\nLocation: /there\r\n\r\n"},
	} {
		r := answerHTTP(t, c.method, c.handler)
		if got := r.sink.String(); got != c.want || r.result.End != Complete {
			t.Errorf("%s: %v\ngot  %.200q\nwant %.200q", c.name, r.result.End, got, c.want)
		}
	}
}

func TestSuperfluousWriteHeaderIsLogged(t *testing.T) {
	r := answerHTTP(t, "GET", func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(404)
		w.WriteHeader(500)
	})
	r.want(t, Complete, "Status: 404 Not Found\r\nContent-Length: 0\r\n\r\n")
	if log := r.log.String(); !strings.Contains(log, "superfluous WriteHeader(500) from fromhttp_writer_test.go:") || strings.Count(log, "\n") != 1 {
		t.Errorf("log %q", log)
	}
}

// What an upstream may send that is no field of a CGI response costs the field, and not the
// response.
func TestFieldsOfAnUpstreamAreDropped(t *testing.T) {
	upstream, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer upstream.Close()
	served := make(chan struct{})
	go func() {
		defer close(served)
		c, err := upstream.Accept()
		if err != nil {
			t.Error(err)
			return
		}
		defer c.Close()
		if _, err := http.ReadRequest(bufio.NewReader(c)); err != nil {
			t.Error(err)
		}
		io.WriteString(c, "HTTP/1.1 103 Early Hints\r\nX B: 1\r\n\r\n"+
			"HTTP/1.1 201 Created\r\nStatus: 201 Created\r\nX A: 1\r\nX-C: 2\r\nContent-Type: a/b\r\nContent-Length: 4\r\nConnection: close\r\n\r\nbody")
	}()
	transport := new(http.Transport)
	defer transport.CloseIdleConnections()
	proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: upstream.Addr().String()})
	proxy.Transport = transport
	r := answerHTTP(t, "GET", proxy.ServeHTTP)
	<-served
	r.want(t, Complete, "Status: 201 Created\r\nContent-Length: 4\r\nContent-Type: a/b\r\nX-C: 2\r\n\r\nbody")
	const line = `line="header fields dropped: [\"Status\" \"X A\" \"X B\"]: a name is a token, and Status is CGI's own: delete them, of an upstream's response in ReverseProxy.ModifyResponse"`
	if log := r.log.String(); !strings.Contains(log, line) || strings.Count(log, "\n") != 1 {
		t.Errorf("log %q", log)
	}
}

func TestDroppedFieldsAreNamedOnce(t *testing.T) {
	r := answerHTTP(t, "GET", func(w http.ResponseWriter, r *http.Request) {
		for _, name := range []string{"status", "STATUS", "", "X A", "X:", "X\n"} {
			w.Header()[name] = []string{"1", "2"}
		}
		for i := range 5 {
			w.Header()[fmt.Sprint("z ", i)] = []string{"1"}
		}
		w.Header().Set("Status-Code", "3")
		w.WriteHeader(204)
	})
	r.want(t, Complete, "Status: 204 No Content\r\nStatus-Code: 3\r\n\r\n")
	const list = `[\"\" \"STATUS\" \"X\\n\" \"X A\" \"X:\" \"status\" \"z 0\" \"z 1\"] and 3 more: `
	if log := r.log.String(); !strings.Contains(log, list) || strings.Count(log, "\n") != 1 {
		t.Errorf("log %q", log)
	}
}

func TestFromHTTPErrAbortHandler(t *testing.T) {
	answerHTTP(t, "GET", func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "x")
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}).want(t, Truncated, "Status: 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nx")
}

// deadlineSink takes what a socket's sink could.
type deadlineSink struct {
	textSink
	read, write time.Time
	informed    []string
}

func (s *deadlineSink) SetReadDeadline(t time.Time) error {
	s.read = t
	return nil
}

func (s *deadlineSink) SetWriteDeadline(t time.Time) error {
	s.write = t
	return nil
}

func (s *deadlineSink) WriteInformational(code int, fields []Field) error {
	s.informed = append(s.informed, fmt.Sprint(code, fields))
	return nil
}

func TestResponseController(t *testing.T) {
	when := time.Unix(1<<40, 0)
	handler := func(supported bool) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			c := http.NewResponseController(w)
			for name, err := range map[string]error{"SetReadDeadline": c.SetReadDeadline(when), "SetWriteDeadline": c.SetWriteDeadline(when)} {
				if (err == nil) != supported || err != nil && !errors.Is(err, http.ErrNotSupported) {
					t.Errorf("%s = %v", name, err)
				}
			}
			if err := c.EnableFullDuplex(); err != nil {
				t.Errorf("EnableFullDuplex = %v", err)
			}
			if _, _, err := c.Hijack(); !errors.Is(err, http.ErrNotSupported) {
				t.Errorf("Hijack = %v", err)
			}
			w.Header().Set("Link", "x")
			w.WriteHeader(103)
			if err := c.Flush(); err != nil {
				t.Errorf("Flush = %v", err)
			}
		}
	}
	answerHTTP(t, "GET", handler(false))
	sink := new(deadlineSink)
	new(Handler).Run(&Request{Env: NewEnviron("REQUEST_METHOD=GET")}, sink, FromHTTP(handler(true)))
	if sink.read != when || sink.write != when || fmt.Sprint(sink.informed) != "[103 [{Link x}]]" {
		t.Errorf("got %v, %v, %v", sink.read, sink.write, sink.informed)
	}
}

// A hello through net/http's types takes few allocations.
func TestFromHTTPAllocations(t *testing.T) {
	hello := []byte("hello world\n")
	app := FromHTTP(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.Write(hello) }))
	env := NewEnviron("REQUEST_METHOD=GET", "SERVER_PROTOCOL=HTTP/1.1", "SCRIPT_NAME=/hello", "REQUEST_URI=/hello", "DOCUMENT_URI=/hello",
		"HTTP_HOST=example.test", "HTTP_USER_AGENT=test", "HTTP_ACCEPT=*/*", "REMOTE_ADDR=192.0.2.1", "REMOTE_PORT=1234", "QUERY_STRING=",
		"CONTENT_TYPE=", "CONTENT_LENGTH=")
	h := &Handler{Log: slog.New(slog.DiscardHandler)}
	r := &Request{Env: env, Body: http.NoBody, Stderr: io.Discard}
	n := testing.AllocsPerRun(1000, func() { h.Run(r, quietSink{}, app) })
	if n > 10 && !raceEnabled {
		t.Errorf("%v allocations", n)
	}
	t.Logf("%v allocations", n)
}
