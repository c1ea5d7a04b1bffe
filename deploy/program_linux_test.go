package deploy_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestStream: the first line of a program reaches the client while the program
// waits for the test, which has then read that line, to let it go on.
func TestStream(t *testing.T) {
	installProgram(t, "stream")
	startGateway(t)
	through(t, streamingFronts, func(t *testing.T, _ front) { wantStream(t, "/cgi-bin/stream") })
}

// wantStream reads the lines of that program, at the path.
func wantStream(t *testing.T, path string) {
	t.Helper()
	proceed := fifo(t, "/srv/test/proceed")
	request, err := http.NewRequest("GET", "http://localhost"+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := httpClient(t).Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body := bufio.NewReader(response.Body)
	if line, err := body.ReadString('\n'); line != "first\n" {
		t.Fatalf("read %q, %v; want the first line", line, err)
	}
	if _, err := proceed.WriteString("second\n"); err != nil {
		t.Fatal(err)
	}
	if line, err := body.ReadString('\n'); line != "second\n" {
		t.Fatalf("read %q, %v; want the second line", line, err)
	}
	if line, err := body.ReadString('\n'); line != "" {
		t.Fatalf("read %q, %v; want the end", line, err)
	}
}

// TestClientLeaves: when the client closes its connection, the program and
// what it started in its process group end, whether it has answered yet or not.
func TestClientLeaves(t *testing.T) {
	installProgram(t, "silent")
	installProgram(t, "unfinished")
	startGateway(t)
	through(t, leavingFronts, func(t *testing.T, _ front) {
		for _, program := range []string{"silent", "unfinished"} {
			t.Run(program, func(t *testing.T) {
				started := fifo(t, "/srv/test/started")
				ctx, leave := context.WithCancel(context.Background())
				defer leave()
				request, err := http.NewRequestWithContext(ctx, "GET", "http://localhost/cgi-bin/"+program, nil)
				if err != nil {
					t.Fatal(err)
				}
				left := make(chan error, 1)
				go func() {
					response, err := httpClient(t).Do(request)
					if err == nil {
						_, err = bufio.NewReader(response.Body).ReadString('#')
						response.Body.Close()
					}
					left <- err
				}()

				var parent, child int
				line, err := bufio.NewReader(started).ReadString('\n')
				if err != nil {
					t.Fatalf("the program did not start: %v", err)
				}
				if _, err := fmt.Sscan(line, &parent, &child); err != nil {
					t.Fatalf("%q: %v", line, err)
				}
				leave()
				if err := <-left; !errors.Is(err, context.Canceled) {
					t.Fatalf("the client did not leave by itself: %v", err)
				}

				deadline := time.Now().Add(patience)
				// The gateway has to wait for its own child. The grandchild
				// falls to the namespace's init, which is this test.
				wantGone(t, "the program", parent, deadline, "")
				wantGone(t, "its background process", child, deadline, "Z")
			})
		}
	})
}

// wantGone waits until a process does not exist or is in the given state.
func wantGone(t *testing.T, name string, pid int, deadline time.Time, state string) {
	t.Helper()
	for {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			return
		}
		after := stat[strings.LastIndexByte(string(stat), ')')+1:]
		if state != "" && strings.HasPrefix(string(after), " "+state) {
			return
		}
		if time.Now().After(deadline) {
			t.Errorf("%s is still there: %s", name, stat)
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// installProgram puts a program of testdata into Debian's cgi-bin.
func installProgram(t *testing.T, name string) {
	t.Helper()
	install(t, filepath.Join("testdata", name), filepath.Join("/usr/lib/cgi-bin", name), 0o755)
}

// fifo makes a named pipe between a program and the test. The test's end
// waits at most as long as patience.
func fifo(t *testing.T, path string) *os.File {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Remove(path) })
	owner := webUser(t)
	if err := os.Chown(path, int(owner.Uid), int(owner.Gid)); err != nil {
		t.Fatal(err)
	}
	// Both ends, so that opening does not wait for the program.
	f, err := os.OpenFile(path, os.O_RDWR|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	if err := f.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return f
}
