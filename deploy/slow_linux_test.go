package deploy_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"

	"gatehouse/internal/testkit"
)

// TestSlowUploads: clients that send slowly, behind an nginx that passes on what comes, do
// not keep the one program that may run from others, and lose nothing.
func TestSlowUploads(t *testing.T) {
	const (
		config = "/etc/gatehouse/slow.toml"
		dir    = "/srv/slow/bin"
		socket = "/run/messages/fastcgi.sock"
		length = 100_000
	)
	writeProgram(t, dir+"/count", "#!/bin/sh\nprintf 'Content-Type: text/plain\\n\\n'; wc -c\n", 0o755)
	t.Cleanup(func() { os.RemoveAll("/srv/slow") })
	text := fmt.Sprintf("fastcgi = [\"unix:%s,mode=0666\"]\nprograms = 1\nqueue_wait = \"2s\"\n[[app]]\nscripts = %q\n", socket, dir)
	if err := os.MkdirAll("/etc/gatehouse", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(config, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Remove(config) })
	startLogged(t, "slow", `exec gatehouse serve --config `+config+` 2>"$LOG"`, nil, socket)
	startNginx(t, "testdata/slow/nginx.conf")
	var slow []net.Conn
	for range 4 {
		c, err := net.Dial("tcp", "localhost:80")
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		fmt.Fprintf(c, "POST /count HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\nConnection: close\r\n\r\nx", length)
		slow = append(slow, c)
	}
	testkit.Until(t, "the connections to gatehouse", func() bool {
		sockets, err := os.ReadFile("/proc/net/unix")
		if err != nil {
			t.Fatal(err)
		}
		return connections(string(sockets), socket) == len(slow)
	})
	if got := getURL(t, "/count"); got.status != http.StatusOK || got.body != "0\n" {
		t.Errorf("beside slow uploads: status %d, %q", got.status, got.body)
	}
	for _, c := range slow {
		if _, err := io.WriteString(c, strings.Repeat("x", length-1)); err != nil {
			t.Fatal(err)
		}
		response, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(response.Body)
		if want := fmt.Sprintln(length); err != nil || response.StatusCode != http.StatusOK || string(body) != want {
			t.Errorf("a slow upload: status %d, %q, %v; want %q", response.StatusCode, body, err, want)
		}
	}
}

// connections counts the connections that have been accepted on a socket, by the lines of
// /proc/net/unix.
func connections(lines, socket string) (n int) {
	for line := range strings.Lines(lines) {
		if f := strings.Fields(line); len(f) == 8 && f[5] == "03" && f[7] == socket {
			n++
		}
	}
	return n
}
