package deploy_test

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"gatehouse/internal/testkit"
)

// poolReloadConfig returns a configuration under which the programs print a word.
func poolReloadConfig(word int64) string {
	app := func(prefix, command, more string) string {
		return fmt.Sprintf("\n[[app]]\nprefix = %q\nfastcgi_exec = %s\nuser = \"www-data\"\nenv = { WORD = \"%d\" }\n%s\n", prefix, command, word, more)
	}
	const perl = `["/usr/bin/perl", "/srv/pool/app.pl"]`
	return "fastcgi = \"unix:/run/gatehouse/fastcgi.sock,mode=0666\"\nhttp = \"127.0.0.1:8081\"\n" +
		app("/demand", perl, "programs = 4") +
		app("/one", perl, "programs = 1\nminimum = 1") +
		app("/minimum", perl, "programs = 4\nminimum = 1") +
		app("/php", `"php-cgi"`, "programs = 2\nminimum = 1\nroot = \"/srv/pool/www\"\nindex = \"index.php\"")
}

// poolProgram notes the body of each request in a file, and prints the word of its
// configuration, that of its code, and its process.
func poolProgram(code int64) string {
	return fmt.Sprintf(`use FCGI;
my $r = FCGI::Request();
while ($r->Accept() >= 0) {
	read STDIN, my $body, $ENV{CONTENT_LENGTH} || 0;
	open my $f, '>>', '/srv/pool/served' or die;
	syswrite $f, "$body\n";
	close $f;
	print "Content-Type: text/plain\r\n\r\n$ENV{WORD} %d $$";
}
`, code)
}

const poolReloadPage = `<?php
file_put_contents('/srv/pool/served', file_get_contents('php://input') . "\n", FILE_APPEND);
header('Content-Type: text/plain');
echo getenv('WORD'), ' ', %d, ' ', getmypid();
`

// A poolLoad sends requests, and knows what has taken effect.
type poolLoad struct {
	word, code atomic.Int64 // at least

	mu    sync.Mutex
	sent  map[string]bool
	pids  map[int]bool
	ready sync.WaitGroup // the first request of each client
}

// run sends requests, each with its name as the body, until stop is closed.
func (l *poolLoad) run(t *testing.T, name, url string, stop <-chan struct{}) {
	first := sync.OnceFunc(l.ready.Done)
	defer first()
	for n := 0; ; n++ {
		select {
		case <-stop:
			return
		default:
		}
		word, code := l.word.Load(), l.code.Load()
		id := fmt.Sprintf("%s %d", name, n)
		response, err := http.Post(url, "text/plain", strings.NewReader(id))
		if err != nil {
			t.Errorf("%s: %v", id, err)
			return
		}
		body, err := io.ReadAll(response.Body)
		response.Body.Close()
		var gotWord, gotCode int64
		var pid int
		if _, scanErr := fmt.Sscan(string(body), &gotWord, &gotCode, &pid); err != nil || scanErr != nil || response.StatusCode != http.StatusOK || gotWord < word || gotCode < code {
			t.Errorf("%s: status %d, %.200q, %v; want word %d and code %d at least", id, response.StatusCode, body, err, word, code)
			return
		}
		l.mu.Lock()
		l.sent[id], l.pids[pid] = true, true
		l.mu.Unlock()
		first()
	}
}

// replaceFile replaces a file that may be read meanwhile.
func replaceFile(t *testing.T, path, content string) {
	t.Helper()
	writeProgram(t, path+".new", content, 0o644)
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

// TestPoolReload reloads a gateway that keeps the processes of programs, under load: with a
// changed configuration, with the same one and new code, and with code that does not start,
// which is refused. No request fails, none runs twice, and no process of before is left.
func TestPoolReload(t *testing.T) {
	const config = "/etc/gatehouse/gatehouse.toml"
	writeProgram(t, "/srv/pool/app.pl", poolProgram(0), 0o644)
	writeProgram(t, "/srv/pool/www/index.php", fmt.Sprintf(poolReloadPage, 0), 0o644)
	writeProgram(t, "/srv/pool/served", "", 0o666)
	writeProgram(t, config, poolReloadConfig(0), 0o644)
	if err := errors.Join(os.Chmod("/srv/pool/served", 0o666), os.MkdirAll("/run/gatehouse", 0o755)); err != nil {
		t.Fatal(err)
	}
	gateway := exec.Command(filepath.Join(workspace, "gatehouse"), "serve", "--config", config)
	gateway.Env, gateway.Dir = []string{"PATH=/usr/bin:/bin"}, "/"
	startServer(t, "gatehouse", gateway, nil, "/run/gatehouse/fastcgi.sock", "127.0.0.1:8081")
	startNginx(t, "testdata/reload/nginx.conf")
	reload := func() (string, error) {
		out, err := exec.Command(filepath.Join(workspace, "gatehouse"), "reload", "--pid", strconv.Itoa(gateway.Process.Pid)).CombinedOutput()
		return string(out), err
	}

	l := &poolLoad{sent: make(map[string]bool), pids: make(map[int]bool)}
	var clients sync.WaitGroup
	stop := make(chan struct{})
	for _, front := range []string{"http://127.0.0.1", "http://127.0.0.1:8081"} { // FastCGI, HTTP
		for i, path := range []string{"/demand", "/demand", "/one", "/minimum", "/php"} {
			l.ready.Add(1)
			clients.Go(func() { l.run(t, fmt.Sprintf("%s%s %d", front, path, i), front+path, stop) })
		}
	}
	l.ready.Wait()
	for n := int64(1); n <= 6 && !t.Failed(); n++ {
		if n%2 == 0 { // the same configuration, and new code
			replaceFile(t, "/srv/pool/app.pl", poolProgram(n))
			replaceFile(t, "/srv/pool/www/index.php", fmt.Sprintf(poolReloadPage, n))
		} else {
			writeProgram(t, config, poolReloadConfig(n), 0o644)
		}
		if out, err := reload(); err != nil {
			t.Errorf("gatehouse reload: %v\n%s", err, out)
		}
		if n%2 == 0 {
			l.code.Store(n)
		} else {
			l.word.Store(n)
		}
		if n == 4 {
			replaceFile(t, "/srv/pool/app.pl", "die 'it does not start';")
			out, err := reload()
			if err == nil || !strings.Contains(out, "gatehouse.toml:5:1: /usr/bin/perl[") || !strings.Contains(out, "ended before it accepted a connection") {
				t.Errorf("gatehouse reload of a program that does not start: %v\n%s", err, out)
			}
			replaceFile(t, "/srv/pool/app.pl", poolProgram(n))
		}
	}
	l.mu.Lock()
	before := maps.Clone(l.pids)
	l.mu.Unlock()
	if out, err := reload(); err != nil {
		t.Errorf("gatehouse reload: %v\n%s", err, out)
	}
	close(stop)
	clients.Wait()

	served := make(map[string]int)
	for line := range strings.Lines(string(read(t, "/srv/pool/served"))) {
		served[strings.TrimSuffix(line, "\n")]++
	}
	for id := range l.sent {
		if served[id] != 1 {
			t.Errorf("%s ran %d times", id, served[id])
		}
	}
	if len(served) != len(l.sent) {
		t.Errorf("%d requests ran, %d were sent", len(served), len(l.sent))
	}
	testkit.Until(t, "the end of the old processes", func() bool {
		return !slices.ContainsFunc(slices.Collect(maps.Keys(before)), func(pid int) bool {
			command, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
			return len(command) > 0
		})
	})
	if log := read(t, "/var/log/nginx/error.log"); strings.Contains(string(log), "upstream") {
		t.Errorf("the log of nginx:\n%s", log)
	}
	t.Logf("%d requests by %d processes", len(l.sent), len(l.pids))
}
