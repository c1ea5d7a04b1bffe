package deploy_test

import (
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"gatehouse/internal/testkit"
)

// startPHP starts php-fpm with two workers.
func startPHP(t *testing.T) *exec.Cmd {
	t.Helper()
	if err := os.MkdirAll("/run/php", 0o755); err != nil {
		t.Fatal(err)
	}
	install(t, "testdata/upstream/fpm.conf", "/etc/fpm.conf", 0o644)
	cmd := exec.Command("/usr/sbin/php-fpm8.2", "-F", "-y", "/etc/fpm.conf")
	startServer(t, "php-fpm", cmd, []string{"/var/log/php-fpm.log"}, "/run/php/fpm.sock")
	return cmd
}

// writePages writes PHP files below the root of a release.
func writePages(t *testing.T, release string, pages map[string]string) {
	t.Helper()
	for name, text := range pages {
		writeProgram(t, filepath.Join("/srv/site", release, "public", name), "<?php\n"+text, 0o644)
	}
}

// activate makes current lead to a release, in one step.
func activate(t *testing.T, release string) {
	t.Helper()
	if err := os.Symlink(release, "/srv/site/next"); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename("/srv/site/next", "/srv/site/current"); err != nil {
		t.Fatal(err)
	}
}

const phpVariables = `foreach (['SCRIPT_FILENAME', 'SCRIPT_NAME', 'PATH_INFO', 'DOCUMENT_ROOT', 'QUERY_STRING', 'APP_ENV', 'HTTP_PROXY'] as $n)
	echo $n, '=', $_SERVER[$n] ?? '-', "\n";`

// startUpstream starts nginx, a gateway and php-fpm, and returns the log of the gateway.
func startUpstream(t *testing.T) (php *exec.Cmd, log func() string) {
	t.Helper()
	php = startPHP(t)
	if err := os.MkdirAll("/run/upstream", 0o755); err != nil {
		t.Fatal(err)
	}
	// php-fpm sees these files in another place.
	writeProgram(t, "/srv/here/page.php", "", 0o644)
	writeProgram(t, "/srv/there/page.php", "<?php echo __FILE__, ' ', $_SERVER['DOCUMENT_ROOT'], ' ', $_SERVER['SCRIPT_NAME'];\n", 0o644)
	install(t, "testdata/upstream/gatehouse.toml", "/etc/gatehouse/upstream.toml", 0o644)
	log = startLogged(t, "upstream", `exec gatehouse serve --config /etc/gatehouse/upstream.toml 2>"$LOG"`, nil, "/run/upstream/fastcgi.sock")
	startNginx(t, "testdata/upstream/nginx.conf")
	return php, log
}

// TestPHPFPMFiles: which file runs, and where php-fpm is told it lies.
func TestPHPFPMFiles(t *testing.T) {
	writePages(t, "1", map[string]string{"index.php": phpVariables, "page.php": phpVariables, "admin/index.php": phpVariables, "sent/page.php": phpVariables})
	writePages(t, "2", map[string]string{"page.php": phpVariables})
	writeProgram(t, "/srv/site/1/public/up/pic.gif", "<?php echo 'uploaded code';", 0o644)
	writeProgram(t, "/srv/site/outside.php", "<?php echo 'outside';", 0o644)
	if err := os.Symlink("/srv/site/outside.php", "/srv/site/1/public/link.php"); err != nil {
		t.Fatal(err)
	}
	activate(t, "1")
	_, log := startUpstream(t)
	const root = "/srv/site/1/public"
	for path, want := range map[string]string{
		"/page.php?a=b":     root + "/page.php /page.php - " + root + " a=b test -",
		"/page.php/x/y":     root + "/page.php /page.php /x/y " + root + "  test -",
		"/":                 root + "/index.php /index.php - " + root + "  test -",
		"/posts/7":          root + "/index.php /index.php - " + root + "  test -",
		"/missing.php":      root + "/index.php /index.php - " + root + "  test -",
		"/admin/":           root + "/admin/index.php /admin/index.php - " + root + "  test -",
		"/sent/page.php":    "/srv/site/current/public/sent/page.php /sent/page.php - /srv/site/current/public  - -",
		"/sent/page2.php":   "404",
		"/up/pic.gif/x.php": "404",
		"/up/pic.gif":       "404",
		"/link.php":         "403",
	} {
		request, err := http.NewRequest("GET", "http://localhost"+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Proxy", "http://evil/")
		p := get(t, request)
		got := fmt.Sprint(p.status)
		if p.status == http.StatusOK {
			var values []string
			for line := range strings.Lines(p.body) {
				_, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
				values = append(values, value)
			}
			got = strings.Join(values, " ")
		}
		if got != want {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
	}
	if want := `"file":"/srv/site/current/public/sent/page2.php"`; !testkit.Poll(func() bool { return strings.Contains(log(), want) && strings.Contains(log(), "translate") }) {
		t.Errorf("the log has no %s:\n%s", want, log())
	}
	wantPage(t, "/there/page.php", "text/html", "/srv/there/page.php /srv/there /there/page.php")
	activate(t, "2")
	wantPage(t, "/page.php", "text/html", "SCRIPT_FILENAME=/srv/site/2/public/page.php\n", "DOCUMENT_ROOT=/srv/site/2/public\n")
}

// TestPHPFPM: what goes through to real php-fpm and back, and how its failures look.
func TestPHPFPM(t *testing.T) {
	writePages(t, "1", map[string]string{
		"hash.php":            `$h = hash_init('sha256'); $f = fopen('php://input', 'r'); while (!feof($f)) hash_update($h, fread($f, 1 << 20)); echo hash_final($h), ' ', $_SERVER['CONTENT_LENGTH'];`,
		"large.php":           `ini_set('memory_limit', '64M'); for ($i = 0; $i < 800; $i++) echo str_repeat('0123456789abcdef', 8192);`,
		"headers.php":         `header('X-Long: ' . str_repeat('y', 5000)); echo strlen($_SERVER['HTTP_X_LONG']);`,
		"finish.php":          `echo 'done'; fastcgi_finish_request(); while (!file_exists('/srv/test/go')) { usleep(1000); clearstatcache(); } touch('/srv/test/went');`,
		"fatal.php":           `undefined_function();`,
		"wait.php":            `file_put_contents('/srv/test/waiting', '.', FILE_APPEND); while (!file_exists('/srv/test/go')) { usleep(1000); clearstatcache(); } echo 'waited';`,
		"killed.php":          `echo str_repeat('x', 300000); flush(); posix_kill(getmypid(), 9);`,
		"dies.php":            `posix_kill(getmypid(), 9);`,
		"ok.php":              `echo 'ok';`,
		"unbuffered/hash.php": `echo hash('sha256', file_get_contents('php://input')), ' ', $_SERVER['CONTENT_LENGTH'];`,
	})
	activate(t, "1")
	owner := webUser(t)
	if err := os.MkdirAll("/srv/test", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown("/srv/test", int(owner.Uid), int(owner.Gid)); err != nil {
		t.Fatal(err)
	}
	php, log := startUpstream(t)

	t.Run("uploads", func(t *testing.T) {
		for _, upload := range []struct {
			path  string
			size  int64
			known bool
		}{{"/hash.php", 100 << 20, true}, {"/hash.php", 3 << 20, false}, {"/unbuffered/hash.php", 3 << 20, true}, {"/unbuffered/hash.php", 3 << 20, false}} {
			hash := sha256.New()
			request, err := http.NewRequest("POST", "http://localhost"+upload.path, io.TeeReader(io.LimitReader(pattern{}, upload.size), hash))
			if err != nil {
				t.Fatal(err)
			}
			if upload.known {
				request.ContentLength = upload.size
			}
			got := get(t, request)
			if want := fmt.Sprintf("%x %d", hash.Sum(nil), upload.size); got.status != 200 || got.body != want {
				t.Errorf("%+v: status %d, %.200q; want %q", upload, got.status, got.body, want)
			}
		}
	})
	t.Run("large", func(t *testing.T) {
		if got := getURL(t, "/large.php"); got.status != 200 || got.body != strings.Repeat("0123456789abcdef", 800*8192) {
			t.Errorf("status %d, %d bytes, or other ones", got.status, len(got.body))
		}
	})
	t.Run("headers", func(t *testing.T) {
		request, err := http.NewRequest("GET", "http://localhost/headers.php", nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("X-Long", strings.Repeat("x", 5000))
		if got := get(t, request); got.body != "5000" || len(got.header.Get("X-Long")) != 5000 {
			t.Errorf("status %d, body %q, a field of %d bytes", got.status, got.body, len(got.header.Get("X-Long")))
		}
	})
	t.Run("finish", func(t *testing.T) {
		if got := getURL(t, "/finish.php"); got.body != "done" {
			t.Errorf("status %d, body %q", got.status, got.body)
		}
		release(t)
		testkit.Until(t, "the rest has run", func() bool { _, err := os.Stat("/srv/test/went"); return err == nil })
	})
	t.Run("fatal", func(t *testing.T) {
		if got := getURL(t, "/fatal.php"); got.status != http.StatusInternalServerError {
			t.Errorf("status %d", got.status)
		}
		if !testkit.Poll(func() bool {
			return strings.Contains(log(), "PHP Fatal error:  Uncaught Error: Call to undefined function")
		}) {
			t.Errorf("the log has no PHP error:\n%s", log())
		}
	})
	t.Run("killed", func(t *testing.T) {
		request, err := http.NewRequest("GET", "http://localhost/killed.php", nil)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := fetch(t, request); err == nil {
			t.Errorf("a complete response, status %d, %d bytes", got.status, len(got.body))
		}
		if got := getURL(t, "/dies.php"); got.status != http.StatusBadGateway {
			t.Errorf("status %d, want 502", got.status)
		}
	})
	t.Run("exhausted", func(t *testing.T) {
		var all sync.WaitGroup
		for range 6 {
			all.Go(func() {
				if got := getURL(t, "/wait.php"); got.body != "waited" {
					t.Errorf("status %d, body %q", got.status, got.body)
				}
			})
		}
		testkit.Until(t, "both workers are busy", func() bool { b, _ := os.ReadFile("/srv/test/waiting"); return len(b) == 2 })
		release(t)
		all.Wait()
	})
	t.Run("restarted", func(t *testing.T) {
		stop := make(chan struct{})
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() {
				for {
					select {
					case <-stop:
						return
					default:
					}
					// A worker that is killed by the restart has not responded: 502.
					if got := getURL(t, "/ok.php"); got.status != http.StatusBadGateway && (got.status != 200 || got.body != "ok") {
						t.Errorf("status %d, body %q", got.status, got.body)
					}
				}
			})
		}
		for n := range 3 {
			if err := php.Process.Signal(syscall.SIGUSR2); err != nil {
				t.Fatal(err)
			}
			testkit.Until(t, "php-fpm has restarted", func() bool {
				b, _ := os.ReadFile("/var/log/php-fpm.log")
				return strings.Count(string(b), "ready to handle connections") == n+2
			})
		}
		close(stop)
		all.Wait()
		wantPage(t, "/ok.php", "text/html", "ok")
	})
}

// release lets the scripts go on that wait for it, until the test ends.
func release(t *testing.T) {
	t.Helper()
	writeProgram(t, "/srv/test/go", "", 0o644)
	t.Cleanup(func() { os.Remove("/srv/test/go") })
}

// A pattern is a body without end.
type pattern struct{}

func (pattern) Read(p []byte) (int, error) {
	for rest := p; len(rest) > 0; {
		rest = rest[copy(rest, "0123456789abcdefghijklmnopqrstuvwxyz\n"):]
	}
	return len(p), nil
}
