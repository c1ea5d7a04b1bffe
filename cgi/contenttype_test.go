package cgi

import (
	"io"
	"net/http"
	"strings"
	"testing"
)

// typeOf returns the Content-Type of a response, as it was sent.
func typeOf(head string) string {
	_, rest, _ := strings.Cut(head, "Content-Type: ")
	value, _, _ := strings.Cut(rest, "\r\n")
	return value
}

// A missing Content-Type is guessed from what is held when the head leaves, for GET and for
// HEAD, with a time limit and without.
func TestContentTypeIsGuessedFromWhatIsHeld(t *testing.T) {
	const html, plain, binary = "text/html; charset=utf-8", "text/plain; charset=utf-8", "application/octet-stream"
	for _, c := range []struct {
		name   string
		writes []string // "" is a Flush
		want   string
	}{
		{"one write", []string{"<html>"}, html},
		{"first line in parts", []string{"<", "ht", "ml>"}, html},
		{"white space first", []string{"\n\n", "<!DOCTYPE html>"}, html},
		{"binary later", []string{"a", "\x00\x01"}, binary},
		{"flush after a part", []string{"<ht", "", "ml>"}, plain},
		{"flush after the parts", []string{"<", "html>", "", "x"}, html},
		{"flush first", []string{"", "<html>"}, ""},
		{"a long write after a short one", []string{"<", "html>" + strings.Repeat("x", 20<<10)}, html},
		{"binary within 512 bytes of a long write", []string{"a", strings.Repeat("x", 510) + "\x00" + strings.Repeat("x", 20<<10)}, binary},
		{"binary after 512 bytes", []string{"a", strings.Repeat("x", 511) + "\x00"}, plain},
		{"many writes", strings.SplitAfter("<!doctype html>"+strings.Repeat("x", 20<<10), "e"), html},
	} {
		for _, method := range []string{"GET", "HEAD"} {
			for _, h := range []*Handler{new(Handler), {RunTime: 1e12}} {
				app := FromHTTP(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					for _, p := range c.writes {
						if p == "" {
							w.(http.Flusher).Flush()
							continue
						}
						if n, err := io.WriteString(w, p); n != len(p) || err != nil {
							t.Errorf("%s: Write = %d, %v", c.name, n, err)
						}
					}
				}))
				got := serveWith(t, h, &Request{Env: NewEnviron("REQUEST_METHOD=" + method)}, app)
				head, body, _ := strings.Cut(got.sink.String(), "\r\n\r\n")
				if typeOf(head+"\r\n") != c.want || got.result.End != Complete {
					t.Errorf("%s, %s: %q, %v; want %q", c.name, method, head, got.result, c.want)
				}
				want := strings.Join(c.writes, "")
				if method == "HEAD" {
					want = ""
				}
				if body != want {
					t.Errorf("%s, %s: body of %d bytes; want %d", c.name, method, len(body), len(want))
				}
			}
		}
	}
}

// A changer is a middleware that sets a field of its own.
type changer struct {
	ResponseWriter
	set Field
}

func (w changer) Unwrap() ResponseWriter { return w.ResponseWriter }

func (w changer) StartResponse(status string, fields []Field) error {
	h, err := NewHeaders(fields...)
	if err != nil {
		return err
	}
	h.Set(w.set.Name, w.set.Value)
	return w.ResponseWriter.StartResponse(status, h.Fields())
}

// What a middleware makes of the type that was guessed first is left alone.
func TestGuessYieldsToMiddleware(t *testing.T) {
	inner := FromHTTP(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "<")
		io.WriteString(w, "html>")
	}))
	for _, c := range []struct {
		set  Field
		want string
	}{
		{Field{"X-A", "1"}, "text/html; charset=utf-8"},
		{Field{"Content-Type", "text/markdown"}, "text/markdown"},
		{Field{"Content-Encoding", "gzip"}, "text/plain; charset=utf-8"},
	} {
		got := serveWith(t, new(Handler), &Request{Env: NewEnviron("REQUEST_METHOD=GET")}, AppFunc(func(w ResponseWriter, r *Request) error {
			return inner.ServeCGI(changer{w, c.set}, r)
		}))
		if typeOf(got.sink.String()) != c.want {
			t.Errorf("%v: %q; want %q", c.set, got.sink.String(), c.want)
		}
	}
}
