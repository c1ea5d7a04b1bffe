//go:build windows

package script

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/windows"

	"gatehouse/cgi"
	"gatehouse/cgi/cgitest"
	"gatehouse/internal/testkit"
)

func TestMain(m *testing.M) {
	if role := os.Getenv("SCRIPT_TEST_ROLE"); role != "" {
		play(role)
		return
	}
	testkit.Main(m)
}

// play is what this test binary does when it interprets a file.
func play(role string) {
	switch role {
	case "report":
		body, err := io.ReadAll(os.Stdin)
		fmt.Printf("Content-Type: text/plain\n\nargs=%q body=%q %v name=%s\n", os.Args[1:], body, err, os.Getenv("PATH_INFO"))
	case "tree": // has a child, and waits
		child := exec.Command(os.Args[0])
		child.Env = append(os.Environ(), "SCRIPT_TEST_ROLE=child")
		child.Stdout, child.Stderr = os.Stdout, os.Stderr
		if err := child.Start(); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
		os.WriteFile(os.Getenv("PID_FILE"), []byte(strconv.Itoa(child.Process.Pid)), 0o644)
		if os.Getenv("QUERY_STRING") == "head" {
			fmt.Print("Content-Type: text/plain\n\nbegun\n")
		}
		time.Sleep(time.Hour)
	case "child":
		time.Sleep(time.Hour)
	}
}

// A fixture is an App over a directory of programs.
type fixture struct {
	*App
	dir, pidFile string
	log          *testkit.Log
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	dir, err := os.MkdirTemp("", "script") // wine cannot remove a TempDir
	if err != nil {
		t.Fatal(err)
	}
	f := &fixture{dir: dir, pidFile: filepath.Join(dir, "pid"), log: new(testkit.Log)}
	f.App = &App{Roots: []string{dir}, Log: f.log.Logger()}
	t.Cleanup(func() {
		f.App.Close()
		os.Remove(f.pidFile)
		os.Remove(dir)
	})
	return f
}

func (f *fixture) write(t *testing.T, name, text string) {
	t.Helper()
	path := filepath.Join(f.dir, name)
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		f.App.Close() // Windows removes no batch file while it runs
		os.Remove(path)
	})
}

// interpreted writes a file that this test binary interprets, in a role.
func (f *fixture) interpreted(t *testing.T, name, role string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	f.write(t, name, "#!\""+self+"\" -x\r\n")
	f.Env = append(f.Env, "SCRIPT_TEST_ROLE="+role, "PID_FILE="+f.pidFile)
}

func request(path, query string) *cgi.Request {
	env := cgi.NewEnviron("REQUEST_METHOD=GET", "SCRIPT_NAME=", "PATH_INFO="+path, "QUERY_STRING="+query, "SERVER_PROTOCOL=HTTP/1.1")
	return &cgi.Request{Env: env, Body: strings.NewReader(""), Role: cgi.Responder}
}

func (f *fixture) serve(r *cgi.Request) (*cgitest.Recorder, cgi.Result) {
	s := new(cgitest.Recorder)
	h := &cgi.Handler{Log: f.log.Logger()}
	return s, h.Run(r, s, f.App)
}

func TestWindowsBatch(t *testing.T) {
	f := newFixture(t)
	f.write(t, "hello.cmd", "@echo Content-Type: text/plain\r\n@echo.\r\n@echo hello %PATH_INFO%\r\n")
	s, res := f.serve(request("/hello.cmd/more", ""))
	if res.Err != nil || res.Code != 200 || strings.TrimSpace(s.Body.String()) != "hello /more" {
		t.Errorf("%d %q, %v\n%s", res.Code, s.Body.String(), res.Err, f.log)
	}
}

func TestWindowsInterpreter(t *testing.T) {
	f := newFixture(t)
	f.interpreted(t, "report.py", "report")
	f.SearchArgs = true
	r := request("/report.py/info", "one+two")
	s, res := f.serve(r)
	want := fmt.Sprintf("args=%q body=\"\" <nil> name=/info\n", []string{"-x", filepath.Join(f.dir, "report.py"), "one", "two"})
	if res.Err != nil || s.Body.String() != want {
		t.Errorf("%d %q, %v; want %q\n%s", res.Code, s.Body.String(), res.Err, want, f.log)
	}
	body := bytes.Repeat([]byte("b"), 1<<20)
	r = request("/report.py", "")
	r.Env.Set("REQUEST_METHOD", "POST")
	r.ContentLength, r.Body = int64(len(body)), bytes.NewReader(body)
	if s, res = f.serve(r); res.Err != nil || !strings.Contains(s.Body.String(), string(body)) {
		t.Errorf("a body of 1 MiB: %d, %d bytes, %v", res.Code, s.Body.Len(), res.Err)
	}
	f.write(t, "readme.txt", "text")
	if _, res = f.serve(request("/readme.txt", "")); res.Code != 403 {
		t.Errorf("a text: %d, %v; want 403", res.Code, res.Err)
	}
}

// TestWindowsTimeout terminates a program and its child, which hold its pipes, before and
// after the head.
func TestWindowsTimeout(t *testing.T) {
	for _, query := range []string{"", "head"} {
		testkit.Longer(t, 5*time.Second, func(t *testing.T, limit time.Duration) (early bool) {
			f := newFixture(t)
			f.interpreted(t, "tree.pl", "tree")
			f.Limits.FirstByte, f.Limits.Silence, f.Limits.Run = time.Hour, time.Hour, limit
			s, res := f.serve(request("/tree.pl", query))
			f.Close()
			text, err := os.ReadFile(f.pidFile)
			if err != nil || query != "" && s.Body.Len() == 0 {
				return true
			}
			if query == "" && res.Code != 504 || query != "" && (res.End != cgi.Truncated || s.Body.String() != "begun\n") {
				t.Errorf("%q: %d, %v, %q, %v", query, res.Code, res.End, s.Body.String(), res.Err)
			}
			pid, _ := strconv.Atoi(string(text))
			if h, err := windows.OpenProcess(windows.SYNCHRONIZE, false, uint32(pid)); err == nil {
				if event, _ := windows.WaitForSingleObject(h, uint32(testkit.Patience.Milliseconds())); event != windows.WAIT_OBJECT_0 {
					t.Errorf("%q: the child goes on", query)
				}
				windows.CloseHandle(h)
			}
			return false
		})
	}
}
