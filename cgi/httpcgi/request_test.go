package httpcgi

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cgi"
	"strings"
	"testing"

	ours "gatehouse/cgi"
)

// variables makes a map of "NAME=VALUE".
func variables(list ...string) map[string]string {
	m := map[string]string{"REQUEST_METHOD": "GET", "SERVER_PROTOCOL": "HTTP/1.1", "REQUEST_URI": "/a?b", "HTTP_HOST": "h"}
	for _, v := range list {
		name, value, _ := strings.Cut(v, "=")
		m[name] = value
	}
	return m
}

// requests are variables of which the two packages make another http.Request. show says what
// differs.
var requests = []struct {
	name         string
	variables    map[string]string
	show         func(r *http.Request) string
	ours, theirs string // "error" and what it says, or what show says
}{
	{"HTTPS in other spellings", variables("HTTPS=On"),
		func(r *http.Request) string { return fmt.Sprint(r.TLS != nil, " ", r.URL) },
		"true https://h/a?b", "false http://h/a?b"},
	{"REQUEST_SCHEME", variables("REQUEST_SCHEME=https"),
		func(r *http.Request) string { return fmt.Sprint(r.TLS != nil) }, "true", "false"},
	{"SERVER_PROTOCOL of HTTP/2", variables("SERVER_PROTOCOL=HTTP/2"),
		func(r *http.Request) string { return r.Proto }, "HTTP/2.0", "error cgi: invalid SERVER_PROTOCOL version"},
	{"no SERVER_PROTOCOL", variables("SERVER_PROTOCOL="),
		func(r *http.Request) string { return r.Proto }, "HTTP/1.0", "error cgi: invalid SERVER_PROTOCOL version"},
	{"httpoxy", variables("HTTP_PROXY=evil"),
		func(r *http.Request) string { return fmt.Sprintf("%q", r.Header["Proxy"]) }, "[]", `["evil"]`},
	{"a host that is no host", variables("HTTP_HOST=a b"),
		func(r *http.Request) string { return r.Host + " " + r.URL.String() }, "a b /a?b", "error cgi: failed to parse host and REQUEST_URI into a URL: http://a b/a?b"},
	{"a path that is no valid escape", variables("REQUEST_URI=/100%", "SCRIPT_NAME=/100%"),
		func(r *http.Request) string { return r.URL.Path }, "/100%", "error cgi: failed to parse host and REQUEST_URI into a URL: http://h/100%"},
	{"a request target in absolute form", variables("REQUEST_URI=http://h/a"),
		func(r *http.Request) string { return r.URL.String() }, "http://h/a", "http://hhttp://h/a"},
	{"a length that is negative", variables("CONTENT_LENGTH=-5"),
		func(r *http.Request) string { return fmt.Sprint(r.ContentLength) }, "-1", "-5"},
	{"a length that is no number", variables("CONTENT_LENGTH=5x"),
		func(r *http.Request) string { return fmt.Sprint(r.ContentLength) }, `error httpcgi: CONTENT_LENGTH "5x" is no number`, "error cgi: bad CONTENT_LENGTH in environment: 5x"},
	{"a method that is none", variables("REQUEST_METHOD=GE T"),
		func(r *http.Request) string { return r.Method }, `error httpcgi: 400 Bad Request: REQUEST_METHOD "GE T" is not a method`, "GE T"},
	{"a line end in a field", variables("HTTP_X_NAME=a\r\nb"),
		func(r *http.Request) string { return r.Header.Get("X-Name") }, "error httpcgi: 400 Bad Request: control character 0x0d in HTTP_X_NAME", "a\r\nb"},
	{"Content-Length", variables("CONTENT_LENGTH=5"),
		func(r *http.Request) string { return fmt.Sprintf("%q", r.Header["Content-Length"]) }, `["5"]`, "[]"},
	{"Transfer-Encoding", variables("HTTP_TRANSFER_ENCODING=chunked"),
		func(r *http.Request) string { return fmt.Sprintf("%q", r.Header["Transfer-Encoding"]) }, `[]`, `["chunked"]`},
	{"a client without an address", variables(),
		func(r *http.Request) string { return r.RemoteAddr }, "", ":0"},
	{"a client at a unix socket", variables("REMOTE_ADDR=unix:"),
		func(r *http.Request) string { return r.RemoteAddr }, "unix:", "[unix:]:0"},
}

func TestRequestFromMap(t *testing.T) {
	said := func(r *http.Request, err error, show func(*http.Request) string) string {
		if err != nil {
			return "error " + err.Error()
		}
		if r.Body != nil || r.RequestURI != "" || !r.Close || r.Trailer == nil {
			t.Errorf("Body %v, RequestURI %q, Close %v, Trailer %v", r.Body, r.RequestURI, r.Close, r.Trailer)
		}
		return show(r)
	}
	for _, q := range requests {
		r, err := RequestFromMap(q.variables)
		if got := said(r, err, q.show); got != q.ours {
			t.Errorf("%s: %q, want %q", q.name, got, q.ours)
		}
		r, err = cgi.RequestFromMap(q.variables)
		if got := said(r, err, q.show); got != q.theirs {
			t.Errorf("%s: net/http/cgi: %q, want %q", q.name, got, q.theirs)
		}
	}
	for _, vars := range []map[string]string{nil, {"REQUEST_URI": "/"}} {
		if _, err := RequestFromMap(vars); err == nil {
			t.Errorf("%v: no error", vars)
		}
	}
}

func TestRequestOfNoProgram(t *testing.T) {
	t.Setenv("REQUEST_METHOD", "")
	if _, err := Request(); !errors.Is(err, ours.ErrNotCGI) {
		t.Error(err)
	}
}

func TestBody(t *testing.T) {
	for _, b := range []struct {
		sent string
		want string
		err  error
	}{
		{"hello", "hello", nil},
		{"hello, and more", "hello", nil},
		{"hell", "hell", io.ErrUnexpectedEOF},
	} {
		got, err := io.ReadAll(&body{strings.NewReader(b.sent), 5})
		if string(got) != b.want || !errors.Is(err, b.err) {
			t.Errorf("%q: %q %v", b.sent, got, err)
		}
	}
}
