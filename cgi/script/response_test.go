//go:build linux

package script

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// R42: a body without a type has none, and nobody guesses one.
func TestR42NoContentType(t *testing.T) {
	f := newFixture(t)
	f.sh(t, "untyped", `printf 'X-A: 1\n\n<html>'`)
	f.sh(t, "empty", `printf 'Content-Type:\n\n<html>'`)
	for _, path := range []string{"/untyped", "/empty"} {
		res, body := f.get(t, path)
		if _, typed := res.Header["Content-Type"]; typed || res.StatusCode != http.StatusOK || body != "<html>" {
			t.Errorf("%s: %d, %v, %q; want no type", path, res.StatusCode, res.Header, body)
		}
	}
}

// R47 and R48, and what else a head may not have: 502, with the line in the log.
func TestBadHeadsAreRefused(t *testing.T) {
	f := newFixture(t)
	for name, c := range map[string]struct{ head, why string }{
		"status":       {"Status: 200\nstatus: 200\n\n", "Status is given twice"},
		"location":     {"Location: /a\nLocation: /b\n\n", "Location is given twice"},
		"length":       {"Content-Length: 1\nContent-Length: 2\n\n", "Content-Length is given twice"},
		"letters":      {"Status: abc\n\n", "three digits"},
		"short":        {"Status: 20 OK\n\n", "three digits"},
		"interim":      {"Status: 100\n\n", "200 or more"},
		"space":        {"Content-Type : a/b\n\n", "before the colon"},
		"continuation": {"X-A: 1\n 2\n\n", "continuation"},
		"control":      {"X-A: 1\\0012\n\n", "control character"},
		"bare":         {"X-A: 1\rSet-Cookie: a\n\n", "control character"},
	} {
		f.sh(t, name, "printf '"+c.head+"body'")
		s, res := f.serve(request("/" + name))
		checkRefused(t, res, 502, f.dir+"/"+name+": bad head: line", c.why)
		if strings.Contains(s.Body.String(), "body") {
			t.Errorf("%s: %q", name, s.Body.String())
		}
	}
}

// What the common web servers let pass reaches the client, too.
func TestLenientHeads(t *testing.T) {
	f := newFixture(t)
	for _, c := range []struct {
		name, head string
		status     string
		field      string // "Name: value"
		log        string // in the one line of the log, or empty for none
	}{
		{"colon", "Status: 404: Not Found\nContent-Type: text/html\n\n", "404 Not Found", "Content-Type: text/html", ""},
		{"relative", "Location: sign-in.cgi\n\n", "302 Found", "Location: sign-in.cgi", ""},
		{"query", "Content-Type: text/html\nLocation: ?a=b\n\n", "302 Found", "Location: ?a=b", ""},
		{"types", "Content-Type: text/html\nContent-Type: a/b\nContent-Type: text/plain\n\n", "200 OK", "Content-Type: text/plain",
			`msg="program printed Content-Type more than once, and the last one counts: let it print only one" request=4 script=` + f.dir + `/types times=3 used=text/plain` + "\n"},
	} {
		f.sh(t, c.name, "printf '"+c.head+"body'")
		before := f.log.String()
		r := request("/" + c.name)
		if c.log != "" {
			r.ID = 4
		}
		s, res := f.serve(r)
		name, value, _ := strings.Cut(c.field, ": ")
		if res.Err != nil || s.Head.Status != c.status || s.Field(name) != value || s.Body.String() != "body" {
			t.Errorf("%s: %+v, %q, %v", c.name, s.Head, s.Body.String(), res.Err)
		}
		line := strings.TrimPrefix(f.log.String(), before)
		if !strings.HasSuffix(line, c.log) || strings.Count(line, "\n") != min(1, len(c.log)) {
			t.Errorf("%s: log %q", c.name, line)
		}
	}
}

// R51, R60: heads of a program that writes its lines one by one, in any form, up to the
// limit.
func TestHeadsInPieces(t *testing.T) {
	f := newFixture(t)
	f.sh(t, "mixed", `printf 'Content-Type: text/plain\r\nX-A'; printf ': 1\n'; printf 'X-B: 2\r\r\n'; printf '\r'; printf '\nbody'`)
	f.sh(t, "long", `printf 'X-Long: '; head -c 60000 /dev/zero | tr '\0' x; printf '\n\nbody'`)
	f.sh(t, "endless", `printf 'X-Long: '; exec yes`)
	s, res := f.serve(request("/mixed"))
	checkOK(t, s, res, "body")
	if s.Field("X-A") != "1" || s.Field("X-B") != "2" {
		t.Errorf("%+v", s.Head)
	}
	s, res = f.serve(request("/long"))
	checkOK(t, s, res, "body")
	if n := len(s.Field("X-Long")); n != 60000 {
		t.Errorf("X-Long has %d bytes", n)
	}
	_, res = f.serve(request("/endless"))
	checkRefused(t, res, 502, "line 2", "Name: value")
	f.sh(t, "huge", `printf 'X-Long: '; exec cat /dev/zero`)
	_, res = f.serve(request("/huge"))
	checkRefused(t, res, 502, "head is longer than head_bytes")
}

// R52, R53: what concerns the connection, and what is meant for the server, is not for
// the client; the fields by which a program hands a file over are for the web server in
// front.
func TestFieldsOfAnAnswer(t *testing.T) {
	f := newFixture(t)
	f.sh(t, "x", `printf 'Content-Type: a/b\nConnection: close\nTransfer-Encoding: chunked\nKeep-Alive: timeout=1\nX-CGI-Debug: 1\nX-Sendfile: /srv/file\nX-Accel-Redirect: /file\nX-LIGHTTPD-send-file: /srv/file\nSet-Cookie: a=1\nSet-Cookie: b=2\nContent-Length: 0\n\n'`)
	s, res := f.serve(request("/x"))
	checkOK(t, s, res, "")
	var got []string
	for _, field := range s.Head.Fields {
		got = append(got, field.Name+": "+field.Value)
	}
	const want = "Content-Type: a/b|X-Sendfile: /srv/file|X-Accel-Redirect: /file|X-LIGHTTPD-send-file: /srv/file|Set-Cookie: a=1|Set-Cookie: b=2|Content-Length: 0"
	if text := strings.Join(got, "|"); text != want {
		t.Errorf("%s; want %s", text, want)
	}
}

// R34, R54: what a program prints in answer to HEAD is read to its end, and nobody gets
// it.
func TestR54HEADIsReadToItsEnd(t *testing.T) {
	f := newFixture(t)
	f.sh(t, "long", head+"head -c 300000 /dev/zero\necho end >end")
	s, res := f.serve(request("/long", "REQUEST_METHOD=HEAD"))
	checkOK(t, s, res, "")
	if _, err := os.Stat(filepath.Join(f.dir, "end")); err != nil {
		t.Errorf("the program did not come to its end: %v", err)
	}
}

// cgitbPage is what Python's cgitb.reset() begins its page with.
const cgitbPage = `<!--: spam
Content-Type: text/html

<body bgcolor="#f0f0f8"><font color="#f0f0f8" size="-5"> -->
`

// A traceback of Python's cgitb reaches the client, wherever in the head the program
// failed, and the log tells of it.
func TestTracebackReachesTheClient(t *testing.T) {
	f := newFixture(t)
	page := f.write(t, "page", cgitbPage+"ZeroDivisionError", 0o644)
	f.sh(t, "first", "cat "+page)
	f.sh(t, "later", "printf 'Content-Type: text/plain\nContent-Length: 2\nStatus: 204\n'; cat "+page)
	f.sh(t, "body", head+"cat "+page)
	_, body, _ := strings.Cut(cgitbPage, "\n\n")
	for _, name := range []string{"first", "later"} {
		before := f.log.String()
		s, res := f.serve(request("/" + name))
		checkOK(t, s, res, body+"ZeroDivisionError")
		if s.Field("Content-Type") != "text/html" {
			t.Errorf("%s: %+v", name, s.Head)
		}
		line := strings.TrimPrefix(f.log.String(), before)
		if !strings.Contains(line, `msg="program failed, and shows its traceback (cgitb) in the response"`) || !strings.Contains(line, "script="+filepath.Join(f.dir, name)) {
			t.Errorf("%s: log %q", name, line)
		}
	}
	s, res := f.serve(request("/body"))
	checkOK(t, s, res, cgitbPage+"ZeroDivisionError")
}
