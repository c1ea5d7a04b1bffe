package files

import (
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gatehouse/cgi"
)

func TestTypes(t *testing.T) {
	png := "\x89PNG\r\n\x1a\n0000"
	app := newTree(t)
	for _, c := range []struct{ name, content, want string }{
		{"a.html", "x", "text/html; charset=utf-8"},
		{"a.HTML", "x", "text/html; charset=utf-8"},
		{"a.css", "x", "text/css; charset=utf-8"},
		{"a.png", "<html>", "image/png"},
		{"a.json", "{}", "application/json"},
		{"LICENSE", "You may", "text/plain; charset=utf-8"},
		{"script-in-it", "<html><script>", "text/plain; charset=utf-8"},
		{"xml-in-it", "<?xml version=\"1.0\"?>", "text/plain; charset=utf-8"},
		{"utf-16", "\xfe\xff\x00a", "text/plain; charset=utf-16be"},
		{"picture", png, "application/octet-stream"},
		{"empty", "", "text/plain; charset=utf-8"},
		{"x.no-such-extension", png, "application/octet-stream"},
	} {
		write(t, filepath.Join(app.Dir, c.name), false, c.content)
		a := get(app, "/"+c.name)
		a.want(t, c.name, 200, c.content)
		if got := a.Field("Content-Type"); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

const tag = `"15e5f2d5e8263200-a"` // of modified, and ten bytes

func TestConditions(t *testing.T) {
	app := newTree(t, "digits.html", "0123456789")
	if a := get(app, "/digits.html"); a.Field("ETag") != tag || a.Field("Last-Modified") != lastModified {
		t.Errorf("ETag %s, Last-Modified %s", a.Field("ETag"), a.Field("Last-Modified"))
	}
	for _, c := range []struct {
		vars string
		code int
		body string
	}{
		{"HTTP_IF_NONE_MATCH=" + tag, 304, ""},
		{"HTTP_IF_NONE_MATCH=W/" + tag, 304, ""},
		{`HTTP_IF_NONE_MATCH="x", ` + tag, 304, ""},
		{"HTTP_IF_NONE_MATCH=*", 304, ""},
		{`HTTP_IF_NONE_MATCH="x"`, 200, "0123456789"},
		{`HTTP_IF_NONE_MATCH="x"|HTTP_IF_MODIFIED_SINCE=` + lastModified, 200, "0123456789"},
		{"HTTP_IF_MODIFIED_SINCE=" + lastModified, 304, ""},
		{"HTTP_IF_MODIFIED_SINCE=Fri, 03 Jan 2020 00:00:00 GMT", 304, ""},
		{"HTTP_IF_MODIFIED_SINCE=Wed, 01 Jan 2020 00:00:00 GMT", 200, "0123456789"},
		{"HTTP_IF_MODIFIED_SINCE=yesterday", 200, "0123456789"},
		{"HTTP_IF_MATCH=" + tag, 200, "0123456789"},
		{`HTTP_IF_MATCH="x"`, 412, ""},
		{"HTTP_IF_UNMODIFIED_SINCE=Wed, 01 Jan 2020 00:00:00 GMT", 412, ""},
		{"HTTP_RANGE=bytes=2-4|HTTP_IF_RANGE=" + tag, 206, "234"},
		{`HTTP_RANGE=bytes=2-4|HTTP_IF_RANGE="x"`, 200, "0123456789"},
		{"HTTP_RANGE=bytes=2-4|HTTP_IF_RANGE=" + lastModified, 206, "234"},
		{"HTTP_RANGE=bytes=2-4|HTTP_IF_RANGE=Wed, 01 Jan 2020 00:00:00 GMT", 200, "0123456789"},
		{"HTTP_RANGE=bytes=2-4|HTTP_IF_NONE_MATCH=" + tag, 304, ""},
	} {
		a := get(app, "/digits.html", strings.Split(c.vars, "|")...)
		a.want(t, c.vars, c.code, c.body)
		if a.Body.String() != c.body {
			t.Errorf("%s: body %q", c.vars, a.Body.String())
		}
		head := get(app, "/digits.html", append(strings.Split(c.vars, "|"), "REQUEST_METHOD=HEAD")...)
		if head.Code != c.code || head.Body.String() != "" {
			t.Errorf("HEAD, %s: %d, body %q", c.vars, head.Code, head.Body.String())
		}
	}
}

func TestFraming(t *testing.T) {
	app := newTree(t, "digits.html", "0123456789", "empty.html", "")
	const fields = "Accept-Ranges: bytes\r\nContent-Length: 10\r\nContent-Type: text/html; charset=utf-8\r\nEtag: " + tag + "\r\nLast-Modified: " + lastModified + "\r\n\r\n"
	for _, c := range []struct{ vars, want string }{
		{"REQUEST_METHOD=GET", "Status: 200 OK\r\n" + fields + "0123456789"},
		{"REQUEST_METHOD=HEAD", "Status: 200 OK\r\n" + fields},
		{"HTTP_IF_NONE_MATCH=*", "Status: 304 Not Modified\r\nEtag: " + tag + "\r\n\r\n"},
		{"HTTP_IF_NONE_MATCH=*|REQUEST_METHOD=HEAD", "Status: 304 Not Modified\r\nEtag: " + tag + "\r\n\r\n"},
		{"PATH_INFO=/none", "Status: 404 Not Found\r\nContent-Type: text/plain\r\nContent-Length: 14\r\n\r\n404 Not Found\n"},
		{"PATH_INFO=/none|REQUEST_METHOD=HEAD", "Status: 404 Not Found\r\nContent-Type: text/plain\r\nContent-Length: 14\r\n\r\n"},
		{"PATH_INFO=/empty.html", "Status: 200 OK\r\nAccept-Ranges: bytes\r\nContent-Length: 0\r\nContent-Type: text/html; charset=utf-8\r\nEtag: \"15e5f2d5e8263200-0\"\r\nLast-Modified: " + lastModified + "\r\n\r\n"},
		{"REQUEST_METHOD=POST", "Status: 405 Method Not Allowed\r\nAllow: GET, HEAD\r\nContent-Type: text/plain\r\nContent-Length: 23\r\n\r\n405 Method Not Allowed\n"},
	} {
		if got := get(app, "/digits.html", strings.Split(c.vars, "|")...).String(); got != c.want {
			t.Errorf("%s: got\n%q, want\n%q", c.vars, got, c.want)
		}
	}
}

func TestRanges(t *testing.T) {
	app := newTree(t, "digits.html", "0123456789", "empty.html", "")
	for _, c := range []struct {
		ranges string
		code   int
		body   string
		field  string // Content-Range
	}{
		{"bytes=0-0", 206, "0", "bytes 0-0/10"},
		{"bytes=7-", 206, "789", "bytes 7-9/10"},
		{"bytes=-2", 206, "89", "bytes 8-9/10"},
		{"bytes=8-99", 206, "89", "bytes 8-9/10"},
		{"bytes=-99", 206, "0123456789", "bytes 0-9/10"},
		{"bytes=10-", 416, "", "bytes */10"},
		{"bytes=5-4", 416, "", ""},
		{"bytes=x", 416, "", ""},
		{"lines=1-2", 416, "", ""},
		{"bytes=0-9,0-9", 200, "0123456789", ""}, // more than the file
		{"", 200, "0123456789", ""},
	} {
		a := get(app, "/digits.html", "HTTP_RANGE="+c.ranges)
		a.want(t, c.ranges, c.code, c.body)
		if got := a.Field("Content-Range"); got != c.field {
			t.Errorf("%.40s: Content-Range %q, want %q", c.ranges, got, c.field)
		}
	}
	get(app, "/empty.html", "HTTP_RANGE=bytes=0-1").want(t, "of an empty file", 200, "")

	long := strings.Repeat("x", 2*maxRanges)
	write(t, filepath.Join(app.Dir, "long.html"), false, long)
	get(app, "/long.html", "HTTP_RANGE=bytes=0-0"+strings.Repeat(",0-0", maxRanges-1)).want(t, "as many ranges as are taken", 206, "")
	get(app, "/long.html", "HTTP_RANGE=bytes=0-0"+strings.Repeat(",0-0", maxRanges)).want(t, "one range more", 200, long)

	a := get(app, "/digits.html", "HTTP_RANGE=bytes=0-1, 4-5,-1")
	a.want(t, "several ranges", 206, "")
	mediaType, params, err := mime.ParseMediaType(a.Field("Content-Type"))
	if err != nil || mediaType != "multipart/byteranges" {
		t.Fatalf("Content-Type %q: %v", a.Field("Content-Type"), err)
	}
	if a.Field("Content-Length") != fmt.Sprint(len(a.Body.String())) {
		t.Errorf("Content-Length %s of %d bytes", a.Field("Content-Length"), len(a.Body.String()))
	}
	parts := multipart.NewReader(strings.NewReader(a.Body.String()), params["boundary"])
	for _, want := range []string{"bytes 0-1/10 01", "bytes 4-5/10 45", "bytes 9-9/10 9"} {
		p, err := parts.NextPart()
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(p)
		if got := p.Header.Get("Content-Range") + " " + string(content); got != want || err != nil {
			t.Errorf("part %q, %v, want %q", got, err, want)
		}
	}
	if _, err := parts.NextPart(); err != io.EOF {
		t.Errorf("after the last part: %v", err)
	}
}

// A file that is larger than any buffer, and one that shrinks while it is sent.
func TestLargeFile(t *testing.T) {
	content := strings.Repeat("0123456789abcdef", 1<<16)
	app := newTree(t, "large.html", content)
	get(app, "/large.html").want(t, "whole", 200, content)
	get(app, "/large.html", "HTTP_RANGE=bytes=-1000000").want(t, "the end", 206, content[len(content)-1000000:])
	large := filepath.Join(app.Dir, "large.html")
	shrink := cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
		return app.ServeCGI(shrinking{w, large}, r)
	})
	if a := get(shrink, "/large.html"); a.End != cgi.Truncated {
		t.Errorf("the file has become shorter, and the answer ended %v", a.End)
	}
}

// shrinking cuts a file off when the first part of it is written.
type shrinking struct {
	cgi.ResponseWriter
	path string
}

func (s shrinking) Write(p []byte) (int, error) {
	if err := os.Truncate(s.path, 1<<17); err != nil {
		return 0, err
	}
	return s.ResponseWriter.Write(p)
}
