package cgihead

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"gatehouse/cgi"
)

// headResult is all that can be told of a parse.
type headResult struct {
	Head Head
	Rest string
	Err  string
}

// parseHead parses in as one piece.
func parseHead(in string, limit int) headResult {
	return parseHeadFrom(strings.NewReader(in), limit)
}

func parseHeadFrom(r io.Reader, limit int) (res headResult) {
	h, rest, err := Read(r, limit)
	if err != nil {
		res.Err = err.Error()
		return res
	}
	all, err := io.ReadAll(r)
	if err != nil {
		res.Err = err.Error()
	}
	res.Head, res.Rest = *h, string(rest)+string(all)
	return res
}

// checkHead asserts that in parses to the given status, fields and rest, however
// it is cut.
func checkHead(t *testing.T, in, status string, fields []cgi.Field, rest string) Head {
	t.Helper()
	res := parseHead(in, 0)
	if res.Err != "" {
		t.Errorf("%q: %s", in, res.Err)
		return res.Head
	}
	if res.Head.Status != status || res.Head.Status[:3] != fmt.Sprint(res.Head.Code) {
		t.Errorf("%q: status %q, code %d; want %q", in, res.Head.Status, res.Head.Code, status)
	}
	if !(len(fields) == 0 && len(res.Head.Fields) == 0) {
		if d := cmp.Diff(fields, res.Head.Fields); d != "" {
			t.Errorf("%q: fields (-want +got)\n%s", in, d)
		}
	}
	if res.Rest != rest {
		t.Errorf("%q: rest %q; want %q", in, res.Rest, rest)
	}
	if d := cmp.Diff(res, parseHeadFrom(iotest.OneByteReader(strings.NewReader(in)), 0)); d != "" {
		t.Errorf("%q byte by byte differs\n%s", in, d)
	}
	return res.Head
}

// checkBadHead asserts that in is refused with an error of the kind that says
// reason, however it is cut.
func checkBadHead(t *testing.T, in string, kind error, reason string) {
	t.Helper()
	_, rest, err := Read(strings.NewReader(in), 0)
	var he *Error
	if !errors.Is(err, kind) || !errors.As(err, &he) || !strings.Contains(err.Error(), reason) {
		t.Errorf("%q: error %v; want %v with %q", in, err, kind, reason)
		return
	}
	if rest != nil {
		t.Errorf("%q: a rest beside the error", in)
	}
	if strings.ContainsAny(err.Error(), "\n\r\x00") {
		t.Errorf("%q: the message has more than one line: %q", in, err)
	}
	if _, _, err1 := Read(iotest.OneByteReader(strings.NewReader(in)), 0); err1 == nil || err1.Error() != err.Error() {
		t.Errorf("%q byte by byte: %v; in one piece: %v", in, err1, err)
	}
}

var html = cgi.Field{Name: "Content-Type", Value: "text/html"}

func TestR41HeadThenBlankLineThenBody(t *testing.T) {
	checkHead(t, "Content-Type: text/html\n\nbody\n\nmore", "200 OK", []cgi.Field{html}, "body\n\nmore")
	checkHead(t, "Content-Type: text/html\n\n", "200 OK", []cgi.Field{html}, "")
	checkBadHead(t, "\nbody", ErrMalformed, "no field")
	checkBadHead(t, "\r\n\r\n", ErrMalformed, "no field")
	checkBadHead(t, "", ErrMissing, "empty")
	checkBadHead(t, "Content-Type: text/html\n", ErrMissing, "ended before")
	checkBadHead(t, "Segmentation fault", ErrMissing, "Segmentation fault")
	checkBadHead(t, "hello world\n\n", ErrMalformed, `line 1, "hello world"`)
}

func TestR42DocumentResponse(t *testing.T) {
	checkHead(t, "Content-Type: text/html\nX-A: 1\n\nb", "200 OK", []cgi.Field{html, {Name: "X-A", Value: "1"}}, "b")
	h := checkHead(t, "Status: 404 Not Found\nContent-Type: text/html\n\nb", "404 Not Found", []cgi.Field{html}, "b")
	if !h.Explicit || h.ContentLength != -1 {
		t.Errorf("explicit %v, length %d; want true, -1", h.Explicit, h.ContentLength)
	}
	// Without Content-Type the body passes as it is.
	checkHead(t, "X-A: 1\n\nbody", "200 OK", []cgi.Field{{Name: "X-A", Value: "1"}}, "body")
	checkHead(t, "Content-Type:\nX-A: 1\n\nbody", "200 OK", []cgi.Field{{Name: "X-A", Value: "1"}}, "body")
}

func TestR43LocalRedirect(t *testing.T) {
	h := checkHead(t, "Location: /path?q=1\n\n", "302 Found", []cgi.Field{{Name: "Location", Value: "/path?q=1"}}, "")
	if !h.LocalRedirect || h.Location() != "/path?q=1" || h.Explicit {
		t.Errorf("%+v; want a local redirect to /path?q=1", h)
	}
	for _, in := range []string{
		"Location: /path\nSet-Cookie: a=1\n\n",
		"Location: /path\nContent-Type: text/html\n\nmoved",
		"Location: //host/path\n\n",
		"Status: 302 Found\nLocation: /path\n\n",
	} {
		if res := parseHead(in, 0); res.Err != "" || res.Head.LocalRedirect || res.Head.Code != 302 {
			t.Errorf("%q: %+v; want 302 for the client", in, res)
		}
	}
	// What is dropped makes no second field.
	if res := parseHead("Location: /path\nX-CGI-Trace: 1\n\n", 0); !res.Head.LocalRedirect {
		t.Errorf("%+v; want a local redirect", res)
	}
}

func TestR44ClientRedirect(t *testing.T) {
	for _, uri := range []string{"http://example.com/a#frag", "mailto:a@example.com", "HTTPS://x/"} {
		h := checkHead(t, "Location: "+uri+"\nX-A: 1\n\n", "302 Found", []cgi.Field{{Name: "Location", Value: uri}, {Name: "X-A", Value: "1"}}, "")
		if h.LocalRedirect {
			t.Errorf("%s: taken for a local redirect", uri)
		}
	}
}

func TestR45RedirectWithDocument(t *testing.T) {
	checkHead(t, "Status: 302 Found\nLocation: http://h/\nContent-Type: text/html\n\nmoved", "302 Found",
		[]cgi.Field{{Name: "Location", Value: "http://h/"}, html}, "moved")
	checkHead(t, "Location: http://h/\nStatus: 308\nContent-Type: text/html\n\nmoved", "308 Permanent Redirect",
		[]cgi.Field{{Name: "Location", Value: "http://h/"}, html}, "moved")
}

func TestR46OtherLocationWithStatusIsADocument(t *testing.T) {
	checkHead(t, "Status: 201 Created\nLocation: /new\n\n", "201 Created", []cgi.Field{{Name: "Location", Value: "/new"}}, "")
	checkHead(t, "Status: 303 See Other\nLocation: new.html\n\n", "303 See Other", []cgi.Field{{Name: "Location", Value: "new.html"}}, "")
}

func TestR47CGIFieldsOnce(t *testing.T) {
	for _, in := range []string{
		"Status: 200 OK\nSTATUS: 200 OK\n\n",
		"Location: /a\nLocation: /a\n\n",
	} {
		checkBadHead(t, in, ErrMalformed, "given twice")
	}
	checkBadHead(t, "Content-Length: 5\nContent-Length: 6\n\n", ErrMalformed, "as 5 and as 6")
	h := checkHead(t, "Content-Length: 5\nContent-Length: 5\n\nhello", "200 OK", []cgi.Field{{Name: "Content-Length", Value: "5"}}, "hello")
	if h.ContentLength != 5 {
		t.Errorf("length %d; want 5", h.ContentLength)
	}
	checkHead(t, "Set-Cookie: a\nSet-Cookie: b\n\n", "200 OK", []cgi.Field{{Name: "Set-Cookie", Value: "a"}, {Name: "Set-Cookie", Value: "b"}}, "")
	for _, v := range []string{"-1", "5, 5", "0x5", "99999999999999999999", "five"} {
		checkBadHead(t, "Content-Length: "+v+"\n\n", ErrMalformed, "not a number")
	}
}

func TestR48FieldSyntax(t *testing.T) {
	checkHead(t, "cOnTeNt-TyPe:text/html\nX-Empty:\nX-B: \t two  words \t\n\n", "200 OK",
		[]cgi.Field{{Name: "cOnTeNt-TyPe", Value: "text/html"}, {Name: "X-Empty", Value: ""}, {Name: "X-B", Value: "two  words"}}, "")
	checkHead(t, "X-A: caf\xc3\xa9 \xe9\n\n", "200 OK", []cgi.Field{{Name: "X-A", Value: "caf\xc3\xa9 \xe9"}}, "")
	for in, reason := range map[string]string{
		"Content-Type : text/html\n\n":         "before the colon",
		"X A: 1\n\n":                           "space in the name",
		"X-A: 1\n more\n\n":                    "continuation",
		" X-A: 1\n\n":                          "continuation",
		"X-A: 1\n\tmore\n\n":                   "continuation",
		": 1\n\n":                              "no name",
		"X(A): 1\n\n":                          "byte 0x28",
		"X-A: 1\x00\n\n":                       "control character 0x00",
		"X-A: a\rSet-Cookie: b\n\n":            "control character 0x0d",
		"X-A: \x7f\n\n":                        "control character 0x7f",
		"X-A: \x1b[31m\n\n":                    "control character 0x1b",
		"Content-Type: text/html\nTraceback\n": "line 2, \"Traceback\"",
	} {
		checkBadHead(t, in, ErrMalformed, reason)
	}
}

// Python's cgitb sends its page wherever the program was when it failed.
func TestTracebackBeginsTheHeadAnew(t *testing.T) {
	const page = "<!--: spam\nContent-Type: text/html\n\n<body bgcolor=\"#f0f0f8\">"
	for _, before := range []string{
		"",
		"Content-Type: text/plain\n",
		"Content-Type: text/html\r\nContent-Length: 3\r\nSet-Cookie: a=1\r\n",
		"Status: 302 Found\nLocation: /x\n",
		"Location: /x\n",
		"HTTP/1.1 204 No Content\n",
		"<!--: spam\nContent-Type: text/html\n",
	} {
		h := checkHead(t, before+page, "200 OK", []cgi.Field{html}, "<body bgcolor=\"#f0f0f8\">")
		if !h.Traceback || h.ContentLength != -1 || h.LocalRedirect || h.Explicit {
			t.Errorf("after %q: %+v; want a traceback and nothing else", before, h)
		}
	}
	checkBadHead(t, "X-A: 1\n<!--: spam\n\n", ErrMalformed, "no field")
	if h := checkHead(t, "X-A: 1\n\n<!--: spam\n", "200 OK", []cgi.Field{{Name: "X-A", Value: "1"}}, "<!--: spam\n"); h.Traceback {
		t.Error("a traceback in the body is none of the head")
	}
}

// What nginx and Apache do with a repeated Content-Type.
func TestLastContentTypeCounts(t *testing.T) {
	plain := cgi.Field{Name: "content-type", Value: "text/plain"}
	a := cgi.Field{Name: "X-A", Value: "1"}
	for _, c := range []struct {
		in    string
		want  []cgi.Field
		types int
	}{
		{"Content-Type: text/html\nX-A: 1\n\n", []cgi.Field{html, a}, 1},
		{"Content-Type: text/html\nContent-Type: text/html\n\n", []cgi.Field{html}, 2},
		{"Content-Type: text/html\nX-A: 1\ncontent-type: text/plain\n\n", []cgi.Field{a, plain}, 2},
		{"X-A: 1\ncontent-type: text/plain\nContent-Type: a/b\nContent-Type: text/html\n\n", []cgi.Field{a, html}, 3},
		{"Content-Type: text/html\nX-A: 1\nContent-Type:\n\n", []cgi.Field{html, a}, 1},
		{"Content-Type: a/b\nContent-Type: a/b\n<!--: spam\nContent-Type: text/html\n\n", []cgi.Field{html}, 1},
		{"X-A: 1\n\n", []cgi.Field{a}, 0},
	} {
		if h := checkHead(t, c.in+"b", "200 OK", c.want, "b"); h.ContentTypes != c.types {
			t.Errorf("%q: %d Content-Types; want %d", c.in, h.ContentTypes, c.types)
		}
	}
}

// The client resolves it, as behind nginx and Apache.
func TestR49RelativeLocation(t *testing.T) {
	for _, v := range []string{"sign-in.cgi", "x/y.html", "?q", "#f", "../x", "./x", "1http://x", ":x", "ht tp://x"} {
		h := checkHead(t, "Location: "+v+"\n\n", "302 Found", []cgi.Field{{Name: "Location", Value: v}}, "")
		if h.LocalRedirect || h.Explicit {
			t.Errorf("%q: %+v; want a redirect for the client, without a status of its own", v, h)
		}
		checkHead(t, "Content-Type: text/html\nLocation: "+v+"\n\nb", "302 Found", []cgi.Field{html, {Name: "Location", Value: v}}, "b")
	}
	checkBadHead(t, "Location:\n\n", ErrMalformed, "no value")
}

func TestR50Status(t *testing.T) {
	for in, want := range map[string]string{
		"Status: 404 Not Found":           "404 Not Found",
		"Status: 404":                     "404 Not Found",
		"Status:404":                      "404 Not Found",
		"status: 404 ":                    "404 Not Found",
		"Status: 404 weg \xfcber":         "404 weg \xfcber",
		"Status: 404 Not\tFound":          "404 Not Found",
		"Status: 404: Not Found":          "404 Not Found",
		"Status: 404:Not Found":           "404 Not Found",
		"Status: 404 : Not Found":         "404 Not Found",
		"Status: 404:":                    "404 Not Found",
		"Status: 404\tNot Found":          "404 Not Found",
		"Status: 404  Gone: away":         "404 Gone: away",
		"Status: 599":                     "599 ",
		"Status: 999 x":                   "999 x",
		"HTTP/1.1 203 X":                  "203 X",
		"HTTP/1.0 404":                    "404 Not Found",
		"HTTP/1.1 404: Not Found":         "404 Not Found",
		"HTTP/1.1 200 OK\nStatus: 403 No": "403 No",
	} {
		if h := checkHead(t, in+"\n\nb", want, nil, "b"); !h.Explicit {
			t.Errorf("%q: the status is not explicit", in)
		}
	}
	for _, v := range []string{"abc", "20", "2000", "200OK", "2000: x", "-200", "+20 x", "2 00", "20: x"} {
		checkBadHead(t, "Status: "+v+"\n\n", ErrMalformed, "three digits")
		checkBadHead(t, "HTTP/1.1 "+v+"\n\n", ErrMalformed, "three digits")
	}
	for _, v := range []string{"099 x", "100 Continue", "103"} {
		checkBadHead(t, "Status: "+v+"\n\n", ErrMalformed, "200 or more")
		checkBadHead(t, "HTTP/1.1 "+v+"\n\n", ErrMalformed, "200 or more")
	}
	checkBadHead(t, "Status: 200 O\x01K\n\n", ErrMalformed, "control character")
	checkBadHead(t, "HTTP/1.1\n\n", ErrMalformed, "status code")
	// Only the first line can be a status line.
	checkBadHead(t, "X-A: 1\nHTTP/1.1 200 OK\n\n", ErrMalformed, "Name: value")
	checkHead(t, "Status:\nX-A: 1\n\n", "200 OK", []cgi.Field{{Name: "X-A", Value: "1"}}, "")
}

func TestR51LineEnds(t *testing.T) {
	for _, nl := range []string{"\n", "\r\n", "\r\r\n"} {
		for _, end := range []string{"\n", "\r\n", "\r\r\n"} {
			checkHead(t, "Content-Type: text/html"+nl+"X-A: 1"+end+end+"\r\nb", "200 OK", []cgi.Field{html, {Name: "X-A", Value: "1"}}, "\r\nb")
		}
	}
}

func TestR52ConnectionFieldsAreLeftToTheHandler(t *testing.T) {
	checkHead(t, "Connection: close\nTransfer-Encoding: chunked\nDate: x\n\n", "200 OK",
		[]cgi.Field{{Name: "Connection", Value: "close"}, {Name: "Transfer-Encoding", Value: "chunked"}, {Name: "Date", Value: "x"}}, "")
}

func TestR53CGIExtensionFieldsAreDropped(t *testing.T) {
	checkHead(t, "X-CGI-Debug: 1\nContent-Type: text/html\nx-cgi-b: 2\nX-CGIa: 3\n\n", "200 OK", []cgi.Field{html, {Name: "X-CGIa", Value: "3"}}, "")
	checkHead(t, "X-CGI-Debug: 1\n\nb", "200 OK", nil, "b")
}

func TestR60HeadBytes(t *testing.T) {
	long := "X-Long: " + strings.Repeat("a", 60_000) + "\n\n"
	checkHead(t, long, "200 OK", []cgi.Field{{Name: "X-Long", Value: strings.Repeat("a", 60_000)}}, "")
	checkBadHead(t, "X-A: 1\n"+strings.Repeat("b", 70_000), ErrTooLong, "within 65536 bytes")
	checkBadHead(t, strings.Repeat("X-A: 1\n", 10_000)+"\n", ErrTooLong, "head_bytes")
	exact := "X-A: 1\n\n"
	for limit := 1; limit <= len(exact)+1; limit++ {
		res := parseHead(exact+"body", limit)
		if ok := limit >= len(exact); ok != (res.Err == "") {
			t.Errorf("a head of %d bytes under a limit of %d: %q", len(exact), limit, res.Err)
		}
	}
	if res := parseHead("X-A: "+strings.Repeat("a", 200_000)+"\n\n", -1); res.Err != "" {
		t.Errorf("without a limit: %s", res.Err)
	}
}

func TestReadHeadPassesReadErrors(t *testing.T) {
	want := errors.New("read failed")
	_, _, err := Read(io.MultiReader(strings.NewReader("X-A: 1\n"), iotest.ErrReader(want)), 0)
	if err != want {
		t.Errorf("error %v; want %v", err, want)
	}
}

func TestHeadParserReset(t *testing.T) {
	p := NewParser(0)
	for _, in := range []string{"Status: 404\nX-A: 1\nX-B: 2\n\n", "X-C: 3\n\n", "Location: /x\n\n", "X-A: 1\n\n"} {
		if _, done, err := p.Feed([]byte(in)); !done || err != nil {
			t.Fatalf("%q: %v, %v", in, done, err)
		}
		if d := cmp.Diff(parseHead(in, 0).Head, *p.Head()); d != "" {
			t.Errorf("%q after Reset differs\n%s", in, d)
		}
		p.Reset(0)
	}
	p.Feed([]byte("bad"))
	p.Reset(0)
	if n := testing.AllocsPerRun(100, func() {
		p.Feed([]byte("Status: 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello"))
		p.Reset(0)
	}); n > 1 {
		t.Errorf("%v allocations a head; want 1", n)
	}
}

// FuzzRead holds two laws: what was parsed, printed and parsed again is the
// same, and how the input is cut makes no difference.
func FuzzRead(f *testing.F) {
	for _, in := range []string{
		"Content-Type: text/html\n\nbody", "Status: 404\r\nX: \r\n\r\n", "Location: /x\n\n", "HTTP/1.1 203 X\n\n",
		"Status: 404: Not Found\n\n", "Location: x\n\n", "Content-Type: a/b\nX: 1\nContent-Type: b/c\n\n",
		"<!--: spam\nContent-Length: 007\n\n", "X-CGI-A: 1\r\r\nA:b\n\n", " a\n", "a b\n", "Status: 599\n\n", "X-A: 1\n", "Location: x:\n\n",
	} {
		f.Add([]byte(in), uint16(3), uint16(40))
	}
	f.Fuzz(func(t *testing.T, in []byte, cut, limit uint16) {
		whole := parseHeadFrom(bytes.NewReader(in), int(limit))
		k := int(cut) % (len(in) + 1)
		cutResult := parseHeadFrom(io.MultiReader(bytes.NewReader(in[:k]), bytes.NewReader(in[k:])), int(limit))
		if d := cmp.Diff(whole, cutResult); d != "" {
			t.Fatalf("cut at %d differs\n%s", k, d)
		}
		if whole.Err != "" {
			return
		}
		h := whole.Head
		printed := (&cgi.Head{Code: h.Code, Status: h.Status, Fields: h.Fields}).AppendCGI(nil)
		again := parseHead(string(printed)+whole.Rest, -1)
		h.Explicit, h.LocalRedirect, h.Traceback = true, false, false
		h.ContentTypes = min(h.ContentTypes, 1)
		if len(h.Fields) == 0 {
			h.Fields = again.Head.Fields[:0]
		}
		if d := cmp.Diff(headResult{Head: h, Rest: whole.Rest}, again); d != "" {
			t.Fatalf("printed as %q differs\n%s", printed, d)
		}
		if err := startResponse(h.Status, h.Fields); err != nil {
			t.Fatalf("%q, %q: %v", h.Status, h.Fields, err)
		}
	})
}

// startResponse returns what StartResponse says of a head.
func startResponse(status string, fields []cgi.Field) (err error) {
	app := cgi.AppFunc(func(w cgi.ResponseWriter, _ *cgi.Request) error {
		err = w.StartResponse(status, fields)
		return cgi.ReplaceResponse(w, nil, "204 No Content", nil)
	})
	cgi.ToHTTP(app).ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
	return err
}

// TestRemedies: what is said to print in place of what is no head.
func TestRemedies(t *testing.T) {
	const first = `print "Content-Type: text/html" and an empty line first`
	const before = "print an empty line before it, which ends the head"
	for in, want := range map[string]string{
		"":                                  first,
		"\n":                                first,
		"hello world\n":                     first,
		"hello world":                       first,
		"<html>\n<head>\n":                  first,
		"<p style=\"color: red\">\n":        first,
		"{\"a\": 1}\n":                      first,
		"Content-Type: text/html\n<html>\n": before,
		"Content-Type: a/b\n{\"a\": 1}\n":   before,
		"Content-Type: text/html\n":         "", // the reason says it all
		"Content-Type: text/html":           "",
		"Content-Type : text/html\n\n":      "",
		"Status: OK\n\n":                    "",
		"X-A: 1\n<!--: spam\n\n":            first,
	} {
		_, _, err := Read(strings.NewReader(in), 0)
		e, ok := err.(*Error)
		if !ok || e.Remedy != want || want != "" && !strings.HasSuffix(e.Error(), ": "+want) {
			t.Errorf("%q: %v; want the remedy %q", in, err, want)
		}
	}
}
