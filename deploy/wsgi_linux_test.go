package deploy_test

import (
	"crypto/sha256"
	"crypto/tls"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// A wsgiFront is a web server in front of WSGI applications.
type wsgiFront struct {
	front
	base string // of the URLs
}

func (f wsgiFront) apache() bool { return strings.HasPrefix(f.name, "Apache") }

// wsgiFronts are the ways to WSGI applications: through nginx by FastCGI and by HTTP, both with
// and without TLS, and through Apache.
var wsgiFronts = []wsgiFront{
	{front{"nginx FastCGI", startNginx, "testdata/wsgi/nginx.conf"}, "http://localhost"},
	{front{"nginx FastCGI TLS", startNginx, "testdata/wsgi/nginx.conf"}, "https://localhost"},
	{front{"nginx HTTP", startNginx, "testdata/wsgi/nginx.conf"}, "http://localhost:8080"},
	{front{"nginx HTTP TLS", startNginx, "testdata/wsgi/nginx.conf"}, "https://localhost:8443"},
	{front{"Apache FastCGI", startApache, "testdata/wsgi/apache.conf"}, "http://localhost"},
}

// startWSGI starts the gateway with the gatehouse.toml of a folder of testdata, and returns its log.
func startWSGI(t *testing.T, folder string) (log func() string) {
	t.Helper()
	installCertificate(t)
	install(t, "testdata/"+folder+"/gatehouse.toml", "/etc/gatehouse/wsgi.toml", 0o644)
	if err := os.MkdirAll("/run/wsgi", 0o755); err != nil {
		t.Fatal(err)
	}
	return startLogged(t, filepath.Base(folder), `exec gatehouse serve --config /etc/gatehouse/wsgi.toml 2>"$LOG"`, nil, "/run/wsgi/fastcgi.sock", "/run/wsgi/http.sock")
}

// installTree copies a folder of testdata to a directory that belongs to the web servers' user.
func installTree(t *testing.T, folder, dir string) {
	t.Helper()
	if err := os.CopyFS(dir, os.DirFS("testdata/"+folder)); err != nil {
		t.Fatal(err)
	}
	giveAway(t, dir)
}

// giveAway makes a directory, with all that it holds, the web servers' user's.
func giveAway(t *testing.T, dir string) {
	t.Helper()
	owner := webUser(t)
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Chown(path, int(owner.Uid), int(owner.Gid))
	})
	if err != nil {
		t.Fatal(err)
	}
}

// runAsWebUser runs a command in a directory as the web servers' user. It has to succeed.
func runAsWebUser(t *testing.T, dir string, env []string, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir, cmd.Env = dir, append([]string{"PATH=/usr/bin:/bin", "LANG=C.UTF-8"}, env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: webUser(t)}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %q: %v\n%s", name, args, err, out)
	}
	return string(out)
}

// A visitor is a browser, as far as cookies go. It follows no redirects.
type visitor struct {
	base   string
	client *http.Client
}

func newVisitor(t *testing.T, base string) *visitor {
	t.Helper()
	client := httpClient(t)
	client.Transport.(*http.Transport).TLSClientConfig = &tls.Config{InsecureSkipVerify: true}
	client.Jar, _ = cookiejar.New(nil)
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &visitor{base, client}
}

// do makes a request with header fields and reads the whole response.
func (v *visitor) do(t *testing.T, method, path string, body io.Reader, length int64, fields ...string) page {
	t.Helper()
	response := v.open(t, method, path, body, length, fields...)
	defer response.Body.Close()
	got, err := readPage(response)
	if err != nil {
		t.Fatalf("%s %s: %v after %d bytes", method, path, err, len(got.body))
	}
	return got
}

// open makes a request with header fields.
func (v *visitor) open(t *testing.T, method, path string, body io.Reader, length int64, fields ...string) *http.Response {
	t.Helper()
	request, err := http.NewRequest(method, v.base+path, body)
	if err != nil {
		t.Fatal(err)
	}
	request.ContentLength = length
	for _, field := range fields {
		name, value, _ := strings.Cut(field, ": ")
		request.Header.Set(name, value)
	}
	response, err := v.client.Do(request)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	return response
}

// get gets a page.
func (v *visitor) get(t *testing.T, path string) page {
	t.Helper()
	return v.do(t, "GET", path, nil, 0)
}

// post sends a form.
func (v *visitor) post(t *testing.T, path string, form url.Values, fields ...string) page {
	t.Helper()
	body := form.Encode()
	return v.do(t, "POST", path, strings.NewReader(body), int64(len(body)),
		append(fields, "Content-Type: application/x-www-form-urlencoded", "Referer: "+v.base+path)...)
}

// cookie returns the value of a cookie.
func (v *visitor) cookie(t *testing.T, name string) string {
	t.Helper()
	u, err := url.Parse(v.base)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range v.client.Jar.Cookies(u) {
		if c.Name == name {
			return c.Value
		}
	}
	return ""
}

// want checks the status of a page, and that it has all of some texts.
func (p page) want(t *testing.T, what string, status int, texts ...string) {
	t.Helper()
	if p.status != status {
		t.Errorf("%s: status %d; want %d\n%.2000s", what, p.status, status, p.body)
		return
	}
	for _, text := range texts {
		if !strings.Contains(p.body, text) {
			t.Errorf("%s: the page lacks %q\n%.2000s", what, text, p.body)
		}
	}
}

// wantRedirect checks that a page leads elsewhere.
func (p page) wantRedirect(t *testing.T, what string, status int, location string) {
	t.Helper()
	if got := p.header.Get("Location"); p.status != status || got != location {
		t.Errorf("%s: status %d to %q; want %d to %q\n%.2000s", what, p.status, got, status, location, p.body)
	}
}

// wantFile uploads a file of a form, of so many bytes, to a page that prints its name, its size
// and its hash.
func (v *visitor) wantFile(t *testing.T, path string, size int64, fields ...string) {
	t.Helper()
	const boundary = "the-boundary-of-the-test"
	head := "--" + boundary + "\r\nContent-Disposition: form-data; name=\"file\"; filename=\"large.bin\"\r\nContent-Type: application/octet-stream\r\n\r\n"
	const tail = "\r\n--" + boundary + "--\r\n"
	hash := sha256.New()
	content := io.TeeReader(io.LimitReader(pattern{}, size), hash)
	got := v.do(t, "POST", path, io.MultiReader(strings.NewReader(head), content, strings.NewReader(tail)), int64(len(head)+len(tail))+size,
		append(fields, "Content-Type: multipart/form-data; boundary="+boundary, "Referer: "+v.base+path)...)
	got.want(t, fmt.Sprintf("%s with %d bytes", path, size), http.StatusOK, fmt.Sprintf("large.bin %d %x\n", size, hash.Sum(nil)))
}

// wantBlocks checks that of a page which streams two lines the first arrives before the second is
// made, which is when it has been written to a named pipe.
func (v *visitor) wantBlocks(t *testing.T, path string) {
	t.Helper()
	proceed := fifo(t, "/srv/test/proceed")
	response := v.open(t, "GET", path, nil, 0)
	defer response.Body.Close()
	first := make([]byte, len("first\n"))
	if _, err := io.ReadFull(response.Body, first); err != nil || string(first) != "first\n" {
		t.Fatalf("%s: read %q, %v; want the first line", path, first, err)
	}
	if _, err := proceed.WriteString("second\n"); err != nil {
		t.Fatal(err)
	}
	if rest, err := io.ReadAll(response.Body); err != nil || string(rest) != "second\n" {
		t.Fatalf("%s: read %q, %v; want the second line", path, rest, err)
	}
}
