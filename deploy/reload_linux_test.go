package deploy_test

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
)

// reloadConfig returns a configuration under which the program prints a word.
func reloadConfig(word string) []byte {
	return fmt.Appendf(nil, `
fastcgi = "unix:/run/gatehouse/fastcgi.sock"

[[app]]
scripts = "/srv/word.cgi"
env = { WORD = %q }
`, word)
}

// TestReload: nginx keeps its connections to a gateway that reloads under load. No request
// fails, and what has changed has taken effect when "gatehouse reload" says so.
func TestReload(t *testing.T) {
	const config = "/etc/gatehouse/gatehouse.toml"
	write := func(file string, content []byte, mode os.FileMode) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, content, mode); err != nil {
			t.Fatal(err)
		}
	}
	write("/srv/word.cgi", []byte("#!/bin/sh\nprintf 'Content-Type: text/plain\\n\\n%s' \"$WORD\"\n"), 0o755)
	write(config, reloadConfig("0"), 0o644)
	credential := webUser(t)
	if err := os.MkdirAll("/run/gatehouse", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown("/run/gatehouse", int(credential.Uid), int(credential.Gid)); err != nil {
		t.Fatal(err)
	}
	gateway := exec.Command(filepath.Join(workspace, "gatehouse"), "serve", "--config", config)
	gateway.SysProcAttr = &syscall.SysProcAttr{Credential: credential}
	gateway.Env = []string{"PATH=/usr/bin:/bin"}
	gateway.Dir = "/"
	startServer(t, "gatehouse", gateway, nil, "/run/gatehouse/fastcgi.sock")
	startNginx(t, "testdata/reload/nginx.conf")
	reload := func() (string, error) {
		out, err := exec.Command(filepath.Join(workspace, "gatehouse"), "reload", "--pid", strconv.Itoa(gateway.Process.Pid)).CombinedOutput()
		return string(out), err
	}

	var current, requests atomic.Int64
	var clients sync.WaitGroup
	stop := make(chan struct{})
	for range 4 {
		clients.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				least := current.Load()
				resp, err := http.Get("http://127.0.0.1/")
				if err != nil {
					t.Errorf("after reload %d: %v", least, err)
					return
				}
				body, err := io.ReadAll(resp.Body)
				resp.Body.Close()
				word, _ := strconv.Atoi(string(body))
				if err != nil || resp.StatusCode != http.StatusOK || int64(word) < least {
					t.Errorf("after reload %d: status %d, %q, %v", least, resp.StatusCode, body, err)
					return
				}
				requests.Add(1)
			}
		})
	}
	for n := int64(1); n <= 10 && !t.Failed(); n++ {
		write(config, reloadConfig(strconv.FormatInt(n, 10)), 0o644)
		if out, err := reload(); err != nil {
			t.Errorf("gatehouse reload: %v\n%s", err, out)
		}
		current.Store(n)
		write(config, append(reloadConfig("-1"), "scrpts = 1\n"...), 0o644)
		if out, err := reload(); err == nil || !strings.Contains(out, "gatehouse.toml:7:1: ") {
			t.Errorf("gatehouse reload of a bad file: %v\n%s", err, out)
		}
	}
	close(stop)
	clients.Wait()
	if log := read(t, "/var/log/nginx/error.log"); strings.Contains(string(log), "upstream") {
		t.Errorf("the log of nginx:\n%s", log)
	}
	t.Logf("%d requests", requests.Load())
}
