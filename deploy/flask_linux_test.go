package deploy_test

import (
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"

	"gatehouse/internal/testkit"
)

// TestFlask: a Flask application on workers, at the root and below a path.
func TestFlask(t *testing.T) {
	const size = 20 << 20
	installTree(t, "flask", "/srv/flask")
	file, err := os.Create("/srv/flask/large.bin")
	if err != nil {
		t.Fatal(err)
	}
	hash := sha256.New()
	if _, err := io.Copy(io.MultiWriter(file, hash), io.LimitReader(pattern{}, size)); err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	log := startWSGI(t, "flask")
	for _, f := range wsgiFronts {
		t.Run(f.name, func(t *testing.T) {
			f.start(t, f.file)
			for _, at := range []string{"", "/below"} {
				scheme, host, _ := strings.Cut(f.base, "://")
				v := newVisitor(t, f.base)
				for n := range 3 {
					v.get(t, at+"/").want(t, at+"/", http.StatusOK, fmt.Sprintf("visit %d, %s, %s, %s%s/hello/x", n+1, scheme, host, f.base, at))
				}
				v.get(t, at+"/hello/a%20%C3%BC%2Fb?greeting=%C3%A9+%26").want(t, "hello", http.StatusNotFound) // the slash is one
				v.get(t, at+"/hello/a%20%C3%BC?greeting=%C3%A9+%26").want(t, "hello", http.StatusOK, "hello a ü, é &")
				v.get(t, at+"/old").wantRedirect(t, "/old", http.StatusFound, at+"/hello/%C3%BC")
				v.do(t, "POST", at+"/hello/x", nil, 0).want(t, "a method that is not allowed", http.StatusMethodNotAllowed)
				for _, n := range []int64{0, 1, 70_000, size} {
					v.wantFile(t, at+"/upload", n)
				}
				if !f.apache() { // which waits for a full buffer
					t.Run("stream"+at, func(t *testing.T) { v.wantBlocks(t, at+"/stream") })
				}
				// Apache takes no program's word for a length.
				t.Run("file"+at, func(t *testing.T) { wantDownload(t, v, at+"/download", size, !f.apache(), hash.Sum(nil)) })
				v.get(t, at+"/fails").want(t, "/fails", http.StatusInternalServerError, "Internal Server Error")
				wantCutShort(t, v, at+"/fails-later")
				v.get(t, at+"/prints").want(t, "/prints", http.StatusOK, "printed")
			}
		})
	}
	for _, want := range []*regexp.Regexp{
		regexp.MustCompile(`"request":"[\w-]+","line":"ValueError: a view that fails"`),
		regexp.MustCompile(`"request":"[\w-]+","line":"ValueError: a stream that fails"`),
		regexp.MustCompile(`"request":"[\w-]+","line":"an error of the application"`),
		regexp.MustCompile(`"line":"printed by the application"`),
		regexp.MustCompile(`"line":"on standard error"`),
	} {
		if !testkit.Poll(func() bool { return want.MatchString(log()) }) {
			t.Errorf("the log has no line for %s", want)
		}
	}
}

// wantDownload gets a file, whole, a part of it, its head, and not again when it is known.
func wantDownload(t *testing.T, v *visitor, path string, size int64, counted bool, sum []byte) {
	t.Helper()
	length := ""
	if counted {
		length = fmt.Sprint(size)
	}
	got := v.get(t, path)
	if hash := sha256.Sum256([]byte(got.body)); got.status != http.StatusOK || string(hash[:]) != string(sum) || got.header.Get("Content-Length") != length {
		t.Errorf("status %d, %d bytes, length %s", got.status, len(got.body), got.header.Get("Content-Length"))
	}
	part := v.do(t, "GET", path, nil, 0, "Range: bytes=1000001-1000100")
	if part.status != http.StatusPartialContent || part.body != got.body[1000001:1000101] {
		t.Errorf("a part: status %d, %d bytes", part.status, len(part.body))
	}
	head := v.do(t, "HEAD", path, nil, 0)
	if head.status != http.StatusOK || head.body != "" || head.header.Get("Content-Length") != length {
		t.Errorf("HEAD: status %d, %d bytes, length %s", head.status, len(head.body), head.header.Get("Content-Length"))
	}
	if known := v.do(t, "GET", path, nil, 0, "If-None-Match: "+got.header.Get("ETag")); known.status != http.StatusNotModified || known.body != "" {
		t.Errorf("a file that is known: status %d, %d bytes", known.status, len(known.body))
	}
}

// wantCutShort checks that a response whose application fails in its middle does not pass for whole.
func wantCutShort(t *testing.T, v *visitor, path string) {
	t.Helper()
	response := v.open(t, "GET", path, nil, 0)
	defer response.Body.Close()
	if got, err := readPage(response); err == nil {
		t.Errorf("%s: a response that broke off is complete: status %d, %d bytes", path, got.status, len(got.body))
	}
}
