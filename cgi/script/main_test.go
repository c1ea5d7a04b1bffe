//go:build linux

package script

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"gatehouse/cgi"
	"gatehouse/cgi/cgitest"
	"gatehouse/internal/testkit"
)

func TestMain(m *testing.M) {
	if role := os.Getenv("SCRIPT_TEST_ROLE"); role != "" {
		os.Exit(play(role))
	}
	testkit.Main(m)
}

// play is what this test binary does when it is run as a CGI program.
func play(role string) int {
	switch role {
	case "fault":
		return reportFault()
	case "report": // everything that a program can see of itself
		body, err := io.ReadAll(os.Stdin)
		fmt.Print("Content-Type: text/plain\n\n")
		dir, _ := os.Getwd()
		fmt.Printf("args=%q\ndir=%s\nbody=%q %v\n", os.Args, dir, body, err)
		for _, v := range os.Environ() {
			fmt.Printf("env %q\n", v)
		}
		fds, _ := os.ReadDir("/proc/self/fd")
		for _, fd := range fds {
			link, err := os.Readlink("/proc/self/fd/" + fd.Name())
			if err == nil && !strings.HasPrefix(link, "/proc/") &&
				!strings.Contains(link, "anon_inode") && !strings.HasPrefix(link, "/sys/fs/cgroup/") { // the Go runtime's own
				fmt.Printf("fd %s\n", fd.Name())
			}
		}
	case "deserter": // leaves its group, and ignores TERM
		signal.Ignore(syscall.SIGTERM)
		group, err := syscall.Getpgid(os.Getppid())
		if err == nil {
			err = syscall.Setpgid(0, group)
		}
		fmt.Printf("Content-Type: text/plain\n\n%v", err)
		os.Stdout.Sync()
		time.Sleep(time.Hour)
	case "flood": // writes before it reads
		fmt.Print("Content-Type: text/plain\n\n")
		out := bytes.Repeat([]byte("0123456789abcdef"), 64<<10)
		os.Stdout.Write(out)
		n, err := io.Copy(io.Discard, os.Stdin)
		fmt.Printf("read %d %v", n, err)
	}
	return 0
}

// A recorder calls hooks from what it records.
type recorder struct {
	cgitest.Recorder
	onFlush func(body string)
	onWrite func()
}

func (s *recorder) Write(p []byte) (int, error) {
	if s.onWrite != nil {
		s.onWrite()
	}
	return s.Recorder.Write(p)
}

func (s *recorder) Flush() error {
	err := s.Recorder.Flush()
	if s.onFlush != nil {
		s.onFlush(s.Body.String())
	}
	return err
}

// A fixture is an App over a directory of scripts, with its log.
type fixture struct {
	*App
	dir string
	log *testkit.Log
}

// newFixture returns an App whose scripts are written with write. At the end of
// the test it is closed, and nothing may be left of it.
func newFixture(t *testing.T) *fixture {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	f := &fixture{dir: dir, log: new(testkit.Log)}
	f.App = &App{Roots: []string{dir}, Log: f.log.Logger()}
	t.Cleanup(func() { f.App.Close() })
	return f
}

// sh writes a shell script and returns its path.
func (f *fixture) sh(t *testing.T, name, text string) string {
	t.Helper()
	return f.write(t, name, "#!/bin/sh\n"+text, 0o755)
}

func (f *fixture) write(t *testing.T, name, text string, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(f.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
	return path
}

// link puts this test binary into the root, to be played by role.
func (f *fixture) link(t *testing.T, name, role string) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(f.dir, name)
	if err := os.Symlink(self, path); err != nil {
		t.Fatal(err)
	}
	if self, err = filepath.EvalSymlinks(self); err != nil {
		t.Fatal(err)
	}
	f.Follow = append(f.Follow, filepath.Dir(self))
	f.Env = append(f.Env, "SCRIPT_TEST_ROLE="+role, "GORACE=atexit_sleep_ms=0")
	return path
}

// request returns a GET request for the path, as a Mux at "/" leaves it.
func request(path string, vars ...string) *cgi.Request {
	env := cgi.NewEnviron("REQUEST_METHOD=GET", "SCRIPT_NAME=", "PATH_INFO="+path, "SERVER_PROTOCOL=HTTP/1.1")
	for _, v := range vars {
		name, value, _ := strings.Cut(v, "=")
		env.Set(name, value)
	}
	return &cgi.Request{Env: env, Body: strings.NewReader(""), Role: cgi.Responder}
}

func withBody(r *cgi.Request, length int64, body io.Reader) *cgi.Request {
	r.Env.Set("REQUEST_METHOD", "POST")
	r.ContentLength, r.Body = length, body
	return r
}

// serve runs one request through a Handler.
func (f *fixture) serve(r *cgi.Request) (*recorder, cgi.Result) {
	s := new(recorder)
	return s, f.serveTo(r, s)
}

func (f *fixture) serveTo(r *cgi.Request, s *recorder) cgi.Result {
	return f.handler().Run(r, s, f.App)
}

// waitIdle waits until the programs have given back all that they had.
func waitIdle(t *testing.T, f *fixture) {
	t.Helper()
	testkit.Until(t, "the end of the programs", func() bool { return f.Load().Running == 0 })
}

func (f *fixture) handler() *cgi.Handler {
	return &cgi.Handler{Log: f.log.Logger()}
}

// checkOK asserts a complete answer of 200 with the given body.
func checkOK(t *testing.T, s *recorder, res cgi.Result, body string) {
	t.Helper()
	if res.Err != nil || res.Code != 200 || res.End != cgi.Complete || s.Body.String() != body {
		t.Fatalf("code %d, %v, body %.200q, error %v; want 200, complete, %.200q", res.Code, res.End, s.Body.String(), res.Err, body)
	}
}

// checkRefused asserts an error page of the given status, and an error that holds
// all of texts.
func checkRefused(t *testing.T, res cgi.Result, code int, texts ...string) {
	t.Helper()
	if res.Code != code || res.Err == nil || res.End != cgi.Complete {
		t.Fatalf("code %d, %v, error %v; want an error page of %d", res.Code, res.End, res.Err, code)
	}
	for _, x := range texts {
		if !strings.Contains(res.Err.Error(), x) {
			t.Errorf("error %q; want %q in it", res.Err, x)
		}
	}
	if strings.Contains(res.Err.Error(), "\n") {
		t.Errorf("the message has more than one line: %q", res.Err)
	}
}

var background = context.Background()

// fifo makes a named pipe in the directory and returns its path.
func (f *fixture) fifo(t *testing.T, name string) string {
	t.Helper()
	path := filepath.Join(f.dir, name)
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// writeFifo lets the reader of a named pipe go on.
func writeFifo(t *testing.T, path string) {
	t.Helper()
	if err := os.WriteFile(path, []byte("go\n"), 0); err != nil {
		t.Error(err)
	}
}
