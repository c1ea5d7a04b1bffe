package python

import (
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gatehouse/fastcgi"
	"gatehouse/fastcgi/client"
	"gatehouse/internal/testkit"
)

// serveFastCGI serves an application over FastCGI, and returns a connection to it.
func serveFastCGI(t *testing.T, s *supervised) *client.Conn {
	t.Helper()
	l := testkit.Listen(t, "unix")
	server := &fastcgi.Server{App: s, Log: slog.New(slog.DiscardHandler)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		server.Serve(l)
	}()
	t.Cleanup(func() { server.Close(); <-done })
	c, err := client.Dial(t.Context(), "unix", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// requestFile asks for a file by wsgi.file_wrapper.
func requestFile(t *testing.T, c *client.Conn, name string) *client.Response {
	t.Helper()
	vars := map[string]string{"REQUEST_METHOD": "GET", "SCRIPT_NAME": "", "PATH_INFO": "/", "SERVER_NAME": "localhost", "SERVER_PORT": "80",
		"SERVER_PROTOCOL": "HTTP/1.1", "NAME": name, "FILE": "open(name, 'rb')"}
	resp, err := c.Do(t.Context(), &client.Request{KeepConn: true, Params: func(yield func(name, value string) bool) {
		for name, value := range vars {
			if !yield(name, value) {
				return
			}
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	return resp
}

// TestFileSent: a file that a worker has passed on goes out over FastCGI whole, and the connection
// serves another request after it.
func TestFileSent(t *testing.T) {
	content := strings.Repeat("0123456789abcdefghi\n", 500_000) // 10 MB
	s := supervise(t, Limits{Programs: 1}, filing)
	name := filepath.Join(s.dir, "large")
	writeFile(t, name, content)
	c := serveFastCGI(t, s)
	for range 3 {
		resp := requestFile(t, c, name)
		got, err := io.ReadAll(resp)
		if err != nil || string(got) != content {
			t.Fatalf("%d bytes, want %d: %v", len(got), len(content), err)
		}
		resp.Close()
	}
}

// TestFileShrinks: a file that has become shorter while it is sent ends the response visibly.
func TestFileShrinks(t *testing.T) {
	s := supervise(t, Limits{Programs: 1}, filing)
	name := filepath.Join(s.dir, "large")
	writeFile(t, name, strings.Repeat("x", 64<<20)) // more than sockets and pipes hold
	c := serveFastCGI(t, s)
	resp := requestFile(t, c, name)
	defer resp.Close()
	if err := os.Truncate(name, 1<<10); err != nil {
		t.Fatal(err)
	}
	n, err := io.Copy(io.Discard, resp)
	var truncated *client.TruncatedError
	if !errors.As(err, &truncated) {
		t.Errorf("after %d bytes: %v", n, err)
	}
}

// TestFileGivenUp: a client that leaves in the midst of a file leaves no descriptor of it.
func TestFileGivenUp(t *testing.T) {
	s := supervise(t, Limits{Programs: 1}, filing)
	name := filepath.Join(s.dir, "large")
	writeFile(t, name, strings.Repeat("x", 64<<20))
	for range 5 {
		c := serveFastCGI(t, s)
		resp := requestFile(t, c, name)
		if _, err := io.CopyN(io.Discard, resp, 1<<20); err != nil {
			t.Fatal(err)
		}
		resp.Close()
		c.Close()
	}
	testkit.Until(t, "no descriptor of the file", func() bool {
		fds, err := filepath.Glob("/proc/self/fd/*")
		if err != nil {
			t.Fatal(err)
		}
		for _, fd := range fds {
			if link, _ := os.Readlink(fd); link == name {
				return false
			}
		}
		return true
	})
}
