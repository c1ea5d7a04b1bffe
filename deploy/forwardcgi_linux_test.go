package deploy_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"gatehouse/internal/testkit"
)

// TestForwardCGI: gatehouse cgi as a CGI program of Apache, with a FastCGI application
// behind it.
func TestForwardCGI(t *testing.T) {
	e := newExercise()
	startExercise(t, e, exerciseSocket, exercisePort)
	gatehouse := filepath.Join(workspace, "gatehouse")
	for name, text := range map[string]string{
		"line.cgi":   "#!" + gatehouse + " cgi --fastcgi unix:" + exerciseSocket + "\n",
		"script.cgi": "#!/bin/sh\n" + gatehouse + " cgi --fastcgi " + exercisePort + " \"$@\"\necho \"exit status $?\" >&2\n",
		"nobody.cgi": "#!" + gatehouse + " cgi --fastcgi 127.0.0.1:4013\n",
		"wrong.cgi":  "#!" + gatehouse + " cgi --fastcgi /run/x.sock\n",
	} {
		path := filepath.Join("/usr/local/lib/cgi-bin", name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	const modules = "/usr/lib/apache2/modules/"
	for _, m := range []struct {
		name       string
		directives []string
	}{
		{"mod_cgid", []string{"LoadModule cgid_module " + modules + "mod_cgid.so", "ScriptSock /run/apache2/socks/cgisock"}},
		{"mod_cgi", []string{"LoadModule cgi_module " + modules + "mod_cgi.so"}},
	} {
		t.Run(m.name, func(t *testing.T) {
			startApacheWith(t, "testdata/forward/apache.conf", m.directives...)
			for _, path := range []string{"/forward/line.cgi", "/forward/script.cgi/info", "/acted"} {
				for _, n := range []int{0, 1, 8193, 5 << 20} {
					wantEcho(t, path, n)
				}
			}
			const size = 20<<20 + 1
			if got := exercisePage(t, "GET", "/forward/line.cgi", "large", size, ""); got.body != large(size) {
				t.Errorf("large: status %d, %d bytes; want %d", got.status, len(got.body), size)
			}
			if got := exercisePage(t, "POST", "/forward/line.cgi", "refused", 0, large(3<<20)); got.status != http.StatusRequestEntityTooLarge || got.body != "too large\n" {
				t.Errorf("refused: status %d, body %.50q; want 413", got.status, got.body)
			}
			if got := exercisePage(t, "HEAD", "/forward/line.cgi", "large", 100_000, ""); got.status != http.StatusOK || got.body != "" {
				t.Errorf("HEAD: status %d, %d bytes", got.status, len(got.body))
			}

			// More than the 8 KiB of cgi-fcgi, either way.
			request, err := http.NewRequest("GET", "http://localhost/forward/line.cgi?page=fields", nil)
			if err != nil {
				t.Fatal(err)
			}
			for i := range 4 {
				request.Header.Set("X-Long-"+strconv.Itoa(i), strings.Repeat("x", 5000))
			}
			got := get(t, request)
			for i := range 4 {
				if v := got.header.Get("X-Long-" + strconv.Itoa(i)); got.status != http.StatusOK || len(v) != 5000 {
					t.Errorf("field %d: status %d, %d bytes; want 5000", i, got.status, len(v))
				}
			}

			// The words of a query are no flags: the application does not know the page.
			for _, file := range []string{"line.cgi", "script.cgi"} {
				if got := getURL(t, "/forward/"+file+"?--scgi+127.0.0.1:4014"); got.status != http.StatusNotFound {
					t.Errorf("%s with words: status %d; want 404", file, got.status)
				}
			}
			exercisePage(t, "GET", "/forward/script.cgi", "exit", 3, "")
			if got := getURL(t, "/forward/nobody.cgi"); got.status != http.StatusBadGateway || got.body != "502 Bad Gateway\n" {
				t.Errorf("nobody: status %d, %q; want 502", got.status, got.body)
			}
			if got := getURL(t, "/forward/wrong.cgi"); got.status != http.StatusInternalServerError {
				t.Errorf("wrong: status %d; want 500", got.status)
			}
			for _, want := range []string{"exit status 3", "127.0.0.1:4013: connection refused: nobody listens there", `"/run/x.sock" is not an address: for a unix socket write unix:/run/x.sock`} {
				if !testkit.Poll(func() bool { return strings.Contains(string(read(t, apacheLog)), want) }) {
					t.Errorf("the error log has no %q:\n%s", want, read(t, apacheLog))
				}
			}

			// What comes is passed on at once, either way, and who leaves is missed.
			leave(t, e, way{path: "/forward/line.cgi", upload: true, endless: true})
		})
	}
}
