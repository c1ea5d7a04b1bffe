package deploy_test

import (
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"gatehouse/internal/testkit"
)

// startPool starts nginx and a gateway that keeps the processes of applications, and returns its
// log.
func startPool(t *testing.T) (log func() string) {
	t.Helper()
	for _, dir := range []string{"/run/upstream", "/usr/lib/upstream"} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { os.RemoveAll("/usr/lib/upstream") })
	if out, err := exec.Command("gcc", "-O1", "-o", "/usr/lib/upstream/responder", "testdata/upstream/responder.c", "-lfcgi").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	writeProgram(t, "/srv/site/app.psgi", `sub { [200, ['Content-Type' => 'text/plain'], ["plack $_[0]{PATH_INFO}\n"]] }`, 0o644)
	install(t, "testdata/pool/gatehouse.toml", "/etc/gatehouse/pool.toml", 0o644)
	log = startLogged(t, "pool", `exec gatehouse serve --config /etc/gatehouse/pool.toml 2>"$LOG"`, nil, "/run/upstream/fastcgi.sock")
	startNginx(t, "testdata/upstream/nginx.conf")
	return log
}

// TestPool: php-cgi and programs in C and Perl, kept by the gateway, through nginx.
func TestPool(t *testing.T) {
	writePages(t, "1", map[string]string{
		"index.php":   `echo 'index ', $_SERVER['REQUEST_URI'];`,
		"page.php":    phpVariables,
		"pid.php":     `usleep(1000); echo getmypid(), ' ', strlen(file_get_contents('php://input'));`,
		"hash.php":    `$h = hash_init('sha256'); $f = fopen('php://input', 'r'); while (!feof($f)) hash_update($h, fread($f, 1 << 20)); echo hash_final($h), ' ', $_SERVER['CONTENT_LENGTH'];`,
		"headers.php": `header('X-Long: ' . str_repeat('y', 5000)); echo strlen($_SERVER['HTTP_X_LONG']);`,
		"short.php":   `file_put_contents('/srv/site/served', $_GET['id'] . file_get_contents('php://input') . "\n", FILE_APPEND); echo getmypid();`,
		"user.php":    `echo posix_getpwuid(posix_geteuid())['name'], ' ', getcwd();`,
		"fatal.php":   `undefined_function();`,
		"killed.php":  `echo str_repeat('x', 300000); flush(); posix_kill(getmypid(), 9);`,
		"dies.php":    `posix_kill(getmypid(), 9);`,
		"leaks.php":   `$a = []; while (true) $a[] = str_repeat('x', 1 << 20);`,
		"self.php":    `$c = stream_context_create(['http' => ['timeout' => 20, 'ignore_errors' => true]]); echo 'fetched ', file_get_contents('http://localhost' . $_GET['path'], false, $c), ' ', $http_response_header[0];`,
	})
	writeProgram(t, "/srv/site/1/public/static.css", "css", 0o644)
	log := startPool(t)

	t.Run("files", func(t *testing.T) {
		wantPage(t, "/page.php/x?a=b", "text/html", "SCRIPT_FILENAME=/srv/site/1/public/page.php\n", "PATH_INFO=/x\n", "QUERY_STRING=a=b\n", "APP_ENV=test\n")
		for _, path := range []string{"/", "/2026/11/a-post/", "/missing.php", "/wp-json/wp/v2/posts?page=2"} { // as WordPress's rules have it
			wantPage(t, path, "text/html", "index "+path)
		}
		wantPage(t, "/user.php", "text/html", "www-data /srv/site/1/public")
		if got := getURL(t, "/static.css"); got.status != http.StatusNotFound {
			t.Errorf("a file that is none of PHP's: %d", got.status)
		}
	})
	t.Run("upload", func(t *testing.T) {
		hash := sha256.New()
		request, err := http.NewRequest("POST", "http://localhost/hash.php", io.TeeReader(io.LimitReader(pattern{}, 100<<20), hash))
		if err != nil {
			t.Fatal(err)
		}
		request.ContentLength = 100 << 20
		if got, want := get(t, request).body, fmt.Sprintf("%x %d", hash.Sum(nil), 100<<20); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	})
	t.Run("headers", func(t *testing.T) {
		request, err := http.NewRequest("GET", "http://localhost/headers.php", nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("X-Long", strings.Repeat("x", 5000))
		if got := get(t, request); got.body != "5000" || len(got.header.Get("X-Long")) != 5000 {
			t.Errorf("%d %q", got.status, got.body)
		}
	})
	t.Run("failures", func(t *testing.T) {
		for range 3 {
			if got := getURL(t, "/fatal.php"); got.status != http.StatusInternalServerError {
				t.Errorf("fatal: %d", got.status)
			}
			if got := getURL(t, "/leaks.php"); got.status != http.StatusInternalServerError {
				t.Errorf("leaks: %d", got.status)
			}
			if got := getURL(t, "/dies.php"); got.status != http.StatusBadGateway {
				t.Errorf("dies: %d", got.status)
			}
			wantPage(t, "/", "text/html", "index")
		}
		request, err := http.NewRequest("GET", "http://localhost/killed.php", nil)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := fetch(t, request); err == nil {
			t.Errorf("a response that broke off is complete: %d bytes", len(got.body))
		}
		for _, want := range []string{"undefined_function", "signal: killed"} {
			if !testkit.Poll(func() bool { return strings.Contains(log(), want) }) {
				t.Errorf("the log has no %q:\n%s", want, log())
			}
		}
	})
	t.Run("self", func(t *testing.T) {
		if got := getURL(t, "/self.php?path=/missing"); got.body != "fetched index /missing HTTP/1.1 200 OK" {
			t.Errorf("%q", got.body)
		}
		testkit.Until(t, "the only process to have started", func() bool { return getURL(t, "/one/pid.php").status == http.StatusOK })
		if got := getURL(t, "/one/self.php?path=/one/pid.php"); !strings.Contains(got.body, "HTTP/1.1 503") {
			t.Errorf("in a pool of one: %q", got.body)
		}
	})
	t.Run("short", serveShortLived)
	t.Run("smokeping", readSmokePing)
	t.Run("others", func(t *testing.T) {
		for path, want := range map[string]string{
			"/c/x":     "POST /c /x, user , body 1048576, sent 1048576, long 1\n",
			"/perl/x":  "perl /x 1048576\n",
			"/plack/x": "plack /x\n",
		} {
			for range 3 {
				request, err := http.NewRequest("POST", "http://localhost"+path, strings.NewReader(strings.Repeat("x", 1<<20)))
				if err != nil {
					t.Fatal(err)
				}
				if got := get(t, request); got.body != want {
					t.Errorf("%s: %d %.200q", path, got.status, got.body)
				}
			}
		}
		if got := getURL(t, "/cgi/x"); got.status != http.StatusServiceUnavailable || got.header.Get("Retry-After") == "" {
			t.Errorf("a CGI program: %d", got.status)
		}
		if want := "as a CGI program does: serve it with scripts"; !testkit.Poll(func() bool { return strings.Contains(log(), want) }) {
			t.Errorf("the log has no %q:\n%s", want, log())
		}
	})
}

// serveShortLived sends 10,000 requests, half of them POST, to processes that end by themselves
// after 100 each. None fails, and none runs twice.
func serveShortLived(t *testing.T) {
	const clients, each, last = 8, 1250, 100
	const served = "/srv/site/served"
	writeProgram(t, served, "", 0o666)
	if err := os.Chmod(served, 0o666); err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	var mu sync.Mutex
	pids := make(map[string]int)
	for i := range clients {
		all.Go(func() {
			for j := range each {
				id := fmt.Sprintf("%d.%d", i, j)
				request, err := http.NewRequest("GET", "http://localhost/short/short.php?id="+id, nil)
				if j%2 == 0 {
					request, err = http.NewRequest("POST", "http://localhost/short/short.php?id=", strings.NewReader(id))
				}
				if err != nil {
					t.Error(err)
					return
				}
				got, err := fetch(t, request)
				if err != nil || got.status != http.StatusOK {
					t.Errorf("request %s: %v, %d %.100q", id, err, got.status, got.body)
					return
				}
				mu.Lock()
				pids[got.body]++
				mu.Unlock()
			}
		})
	}
	all.Wait()
	for pid, n := range pids {
		if n > last {
			t.Errorf("process %s served %d requests", pid, n)
		}
	}
	if len(pids) < clients*each/last {
		t.Errorf("%d processes served %d requests", len(pids), clients*each)
	}
	lines := strings.Fields(string(read(t, served)))
	slices.Sort(lines)
	if n := len(slices.Compact(slices.Clone(lines))); n != clients*each || len(lines) != n {
		t.Errorf("%d requests ran, %d times, want %d", n, len(lines), clients*each)
	}
}

// TestPoolKilled: no process is left of a gateway that was killed.
func TestPoolKilled(t *testing.T) {
	writePages(t, "1", map[string]string{"pid.php": `echo getmypid();`})
	writeProgram(t, "/etc/gatehouse/killed.toml", `fastcgi = "unix:/run/killed.sock,mode=0666"
[[app]]
fastcgi_exec = "php-cgi"
root = "/srv/site/1/public"
user = "www-data"
`, 0o644)
	cmd := exec.Command(filepath.Join(workspace, "gatehouse"), "serve", "--http", "127.0.0.1:8081", "--config", "/etc/gatehouse/killed.toml")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer cmd.Process.Kill()
	pid := 0
	testkit.Until(t, "a response", func() bool {
		response, err := http.Get("http://127.0.0.1:8081/pid.php")
		if err != nil {
			return false
		}
		defer response.Body.Close()
		body, _ := io.ReadAll(response.Body)
		pid, err = strconv.Atoi(string(body))
		return err == nil
	})
	cmd.Process.Kill()
	testkit.Until(t, "the end of php-cgi", func() bool {
		command, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid)) // empty if nobody has reaped it
		return len(command) == 0
	})
}
