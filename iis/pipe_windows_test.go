package iis_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/fastcgi/client"
	"gatehouse/internal/iishost"
	"gatehouse/internal/testkit"

	"golang.org/x/sys/windows"
)

// A host is IIS with a program.
type host struct {
	*iishost.Application
	client *client.Conn
	log    string // the file of its messages
}

// start starts this test as a program of the given kind.
func start(t *testing.T, kind string) *host {
	t.Helper()
	return startCommand(t, kind, iishost.Command{})
}

// startCommand starts this test in the way of a command, which may have variables of its own.
func startCommand(t *testing.T, kind string, c iishost.Command) *host {
	t.Helper()
	h := &host{log: tempFile(t)}
	var err error
	if c.Path, err = os.Executable(); err != nil {
		t.Fatal(err)
	}
	c.Env = environ(append([]string{childVariable + "=" + kind, "GATEHOUSE_LOG=" + h.log}, c.Env...)...)
	if h.Application, err = iishost.Start(c); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Application.Close() })
	h.client = client.New(h.Conn())
	return h
}

// environ returns the environment of this process with other variables, of which the last of a
// name counts: Windows takes the first.
func environ(vars ...string) (list []string) {
	slices.Reverse(vars)
	seen := make(map[string]bool)
	for _, v := range append(vars, os.Environ()...) {
		if name, _, _ := strings.Cut(v, "="); !seen[strings.ToUpper(name)] || name == "" {
			seen[strings.ToUpper(name)] = true
			list = append(list, v)
		}
	}
	return list
}

// tempFile returns the name of a file for a test. Wine cannot remove it in the way of
// t.TempDir.
func tempFile(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "gatehouse")
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(dir, "app.log")
	t.Cleanup(func() {
		if p, err := windows.UTF16PtrFromString(name); err == nil {
			windows.DeleteFile(p)
		}
		if p, err := windows.UTF16PtrFromString(dir); err == nil {
			windows.RemoveDirectory(p)
		}
	})
	return name
}

// vars are what IIS sends for a path, with "/app" as the name of the script.
func vars(method, path, query string, length int) func(func(string, string) bool) {
	list := [][2]string{
		{"REQUEST_METHOD", method}, {"SCRIPT_NAME", "/app"}, {"PATH_INFO", "/app" + path}, {"REQUEST_URI", "/app" + path},
		{"QUERY_STRING", query}, {"CONTENT_LENGTH", fmt.Sprint(length)}, {"CONTENT_TYPE", ""}, {"AUTH_TYPE", ""}, {"REMOTE_USER", ""},
		{"HTTPS", "off"}, {"SERVER_SOFTWARE", "Microsoft-IIS/10.0"}, {"GATEWAY_INTERFACE", "CGI/1.1"}, {"SERVER_PROTOCOL", "HTTP/1.1"},
	}
	return func(yield func(string, string) bool) {
		for _, v := range list {
			if !yield(v[0], v[1]) {
				return
			}
		}
	}
}

// ask makes a request as IIS does, with KEEP_CONN, and returns the response.
func (h *host) ask(t *testing.T, method, path, query string, body []byte) (status, answer string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var stderr bytes.Buffer
	resp, err := h.client.Do(ctx, &client.Request{KeepConn: true, Params: vars(method, path, query, len(body)), Stdin: bytes.NewReader(body), Stderr: &stderr})
	if err != nil {
		t.Fatalf("%s: %v\n%s", path, err, h.messages())
	}
	defer resp.Close()
	b, err := io.ReadAll(resp)
	if err != nil {
		t.Fatalf("%s: %v\n%s", path, err, h.messages())
	}
	if stderr.Len() > 0 {
		b = append(b, "STDERR: "+stderr.String()...)
	}
	return resp.Head.Status, string(b)
}

// messages returns what the program has logged.
func (h *host) messages() string {
	b, _ := os.ReadFile(h.log)
	return string(b)
}

// wait returns the exit status of the program.
func (h *host) wait(t *testing.T) uint32 {
	t.Helper()
	ctx, cancel := context.WithTimeoutCause(t.Context(), time.Minute, errors.New("the program does not end"))
	defer cancel()
	status, err := h.Wait(ctx)
	if err != nil {
		t.Fatalf("%v\n%s", err, h.messages())
	}
	return status
}

func TestPipe(t *testing.T) {
	for _, kind := range []string{"iis", "gatehouse"} {
		t.Run(kind, func(t *testing.T) {
			h := start(t, kind)
			for range 1000 {
				if status, answer := h.ask(t, "GET", "/hello", "", nil); status != "200 OK" || answer != "hello\n" {
					t.Fatalf("%s, %q", status, answer)
				}
			}
			mega := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
			if _, answer := h.ask(t, "POST", "/echo", "", mega); answer != string(mega) {
				t.Errorf("%d bytes of %d have come back", len(answer), len(mega))
			}
			if _, answer := h.ask(t, "GET", "/zeros", "3000000", nil); len(answer) != 3000000 {
				t.Errorf("%d bytes", len(answer))
			}
			if status, answer := h.ask(t, "GET", "/panic", "", nil); !strings.HasPrefix(status, "500 ") || strings.Contains(answer, "deliberate") {
				t.Errorf("a panic: %s, %q", status, answer)
			}
			if _, answer := h.ask(t, "GET", "/stderr", "", nil); strings.Contains(answer, "STDERR") {
				t.Errorf("stderr: %q", answer)
			}
			_, answer := h.ask(t, "GET", "/a/env", "", nil)
			for _, want := range []string{"SCRIPT_NAME=\"/app\"\n", "PATH_INFO=\"/a/env\"\n", "QUERY_STRING=\"\"\n"} {
				if !strings.Contains(answer, want) {
					t.Errorf("the variables lack %q:\n%s", want, answer)
				}
			}
			for _, name := range []string{"HTTPS=", "CONTENT_TYPE=", "AUTH_TYPE=", "REMOTE_USER="} {
				if strings.Contains(answer, name) {
					t.Errorf("there is %s:\n%s", name, answer)
				}
			}
			h.Conn().Close()
			if status := h.wait(t); status != 0 {
				t.Errorf("exit status %d after the end of the pipe", status)
			}
			for _, want := range []string{"a deliberate panic", "said on Request.Stderr", "said on os.Stderr"} {
				if !strings.Contains(h.messages(), want) {
					t.Errorf("the log lacks %q:\n%s", want, h.messages())
				}
			}
		})
	}
}

func TestShutdownEvent(t *testing.T) {
	for _, kind := range []string{"iis", "gatehouse"} {
		t.Run(kind+", idle", func(t *testing.T) {
			h := start(t, kind)
			h.ask(t, "GET", "/hello", "", nil)
			if err := h.Shutdown(); err != nil {
				t.Fatal(err)
			}
			if status := h.wait(t); status != 0 {
				t.Errorf("exit status %d", status)
			}
		})
		t.Run(kind+", in mid-request", func(t *testing.T) {
			h := start(t, kind)
			body, feed := io.Pipe()
			resp, err := h.client.Do(t.Context(), &client.Request{KeepConn: true, Params: vars("POST", "/wait", "", 6), Stdin: body})
			if err != nil {
				t.Fatalf("%v\n%s", err, h.messages())
			}
			defer resp.Close()
			begun := make([]byte, len("begun\n"))
			if _, err := io.ReadFull(resp, begun); err != nil {
				t.Fatal(err)
			}
			if err := h.Shutdown(); err != nil {
				t.Fatal(err)
			}
			io.WriteString(feed, "abc")
			io.WriteString(feed, "def")
			feed.Close()
			rest, err := io.ReadAll(resp)
			if want := "done after 6 bytes: <nil>\n"; string(rest) != want || err != nil {
				t.Errorf("got %q, %v, want %q", rest, err, want)
			}
			if status := h.wait(t); status != 0 {
				t.Errorf("exit status %d\n%s", status, h.messages())
			}
		})
	}
}

func TestPipeClosedInMidRequest(t *testing.T) {
	for _, kind := range []string{"iis", "gatehouse"} {
		t.Run(kind, func(t *testing.T) {
			h := start(t, kind)
			resp, err := h.client.Do(t.Context(), &client.Request{KeepConn: true, Params: vars("GET", "/gone", "", 0)})
			if err != nil {
				t.Fatalf("%v\n%s", err, h.messages())
			}
			begun := make([]byte, len("begun\n"))
			if _, err := io.ReadFull(resp, begun); err != nil {
				t.Fatal(err)
			}
			h.Conn().Close()
			if status := h.wait(t); status != 0 {
				t.Errorf("exit status %d\n%s", status, h.messages())
			}
			if want := "cancelled: the connection to the web server is closed"; !strings.Contains(h.messages(), want) {
				t.Errorf("the log lacks %q:\n%s", want, h.messages())
			}
			resp.Close()
		})
	}
}

func TestCrash(t *testing.T) {
	h := start(t, "iis")
	_, err := h.client.Do(t.Context(), &client.Request{KeepConn: true, Params: vars("GET", "/crash", "", 0)})
	if err == nil {
		t.Error("there is a response")
	}
	if status := h.wait(t); status != 2 {
		t.Errorf("exit status %d, want that of a panic, 2", status)
	}
	for _, want := range []string{"panic: a deliberate crash", "goroutine "} {
		if !strings.Contains(h.messages(), want) {
			t.Errorf("the log lacks %q:\n%s", want, h.messages())
		}
	}
}

func TestStderrByOption(t *testing.T) {
	h := start(t, "stderr")
	if _, answer := h.ask(t, "GET", "/stderr", "", nil); answer != "error: <nil>\nSTDERR: said on STDERR" {
		t.Errorf("%q", answer)
	}
}

func TestServeHTTP(t *testing.T) {
	h := start(t, "http")
	if _, answer := h.ask(t, "GET", "/x", "", nil); answer != "asked for /app/x\n" {
		t.Errorf("%q", answer)
	}
}

// TestNoKeepConn holds that the whole response has come, although the program closes the
// pipe behind it, and ends.
func TestNoKeepConn(t *testing.T) {
	h := start(t, "iis")
	resp, err := h.client.Do(t.Context(), &client.Request{Params: vars("GET", "/zeros", "100000", 0)})
	if err != nil {
		t.Fatalf("%v\n%s", err, h.messages())
	}
	defer resp.Close()
	if b, err := io.ReadAll(resp); len(b) != 100000 || err != nil {
		t.Errorf("%d bytes, %v", len(b), err)
	}
	if status := h.wait(t); status != 0 {
		t.Errorf("exit status %d\n%s", status, h.messages())
	}
}

// TestMutex is another process manager, which connects again and again.
func TestMutex(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range []string{"iis", "gatehouse"} {
		log := tempFile(t)
		a, err := iishost.Start(iishost.Command{Path: exe, Mutex: true, Env: append(os.Environ(), childVariable+"="+kind, "GATEHOUSE_LOG="+log)})
		if err != nil {
			t.Fatal(err)
		}
		defer a.Close()
		h := &host{Application: a, log: log}
		for range 20 {
			testkit.Until(t, "a connection", func() bool {
				c, err := a.Dial()
				if err == nil {
					h.client = client.New(c)
				}
				return err == nil
			})
			for range 3 {
				if _, answer := h.ask(t, "GET", "/hello", "", nil); answer != "hello\n" {
					t.Errorf("%q", answer)
				}
			}
			h.client.Close()
		}
		if err := a.Shutdown(); err != nil {
			t.Fatal(err)
		}
		if status := h.wait(t); status != 0 {
			t.Errorf("%s: exit status %d\n%s", kind, status, h.messages())
		}
	}
}

// TestUnannounced is a process manager that sets no variables, and IIS without an event.
func TestUnannounced(t *testing.T) {
	for name, c := range map[string]iishost.Command{"no event": {NoEvent: true}, "no name": {NoName: true}, "neither": {NoEvent: true, NoName: true}} {
		for _, kind := range []string{"iis", "gatehouse"} {
			h := startCommand(t, kind, c)
			for range 2 {
				if _, answer := h.ask(t, "GET", "/hello", "", nil); answer != "hello\n" {
					t.Errorf("%s, %s: %q", name, kind, answer)
				}
			}
			h.Conn().Close()
			if status := h.wait(t); status != 0 {
				t.Errorf("%s, %s: exit status %d\n%s", name, kind, status, h.messages())
			}
		}
	}
}

// A lateReader reads nothing before its time has come.
type lateReader struct {
	net.Conn
	time chan struct{}
}

func (c lateReader) Read(p []byte) (int, error) {
	<-c.time
	return c.Conn.Read(p)
}

// TestUnreadResponse: a web server that does not read the end of a response holds the program
// up for no more than a moment.
func TestUnreadResponse(t *testing.T) {
	h := start(t, "iis")
	late := lateReader{h.Conn(), make(chan struct{})}
	done := make(chan error)
	go func() {
		resp, err := client.New(late).Do(t.Context(), &client.Request{Params: vars("GET", "/zeros", "20000", 0)})
		if err == nil {
			resp.Close()
		}
		done <- err
	}()
	if status := h.wait(t); status != 0 {
		t.Errorf("exit status %d\n%s", status, h.messages())
	}
	close(late.time)
	if err := <-done; err == nil {
		t.Error("the response was read after all")
	}
}

// TestBadVariables: what cannot be used is in the log, and ends the program.
func TestBadVariables(t *testing.T) {
	for value, want := range map[string]string{
		"none":       `_FCGI_SHUTDOWN_EVENT_ is "none", which is not the number of a handle`,
		"2147483644": "_FCGI_SHUTDOWN_EVENT_ is 2147483644: ",
	} {
		h := startCommand(t, "iis", iishost.Command{NoEvent: true, Env: []string{"_FCGI_SHUTDOWN_EVENT_=" + value}})
		if status := h.wait(t); status != 3 {
			t.Errorf("%s: exit status %d", value, status)
		}
		if !strings.Contains(h.messages(), want) {
			t.Errorf("%s: the log lacks %q:\n%s", value, want, h.messages())
		}
	}
}

// TestLogFile: the log is in %TEMP% unless it is named, one that has become large is moved away,
// and one that cannot be opened ends the program only if it is named.
func TestLogFile(t *testing.T) {
	dir := filepath.Dir(tempFile(t))
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	usual := filepath.Join(dir, strings.TrimSuffix(filepath.Base(exe), filepath.Ext(exe))+".log")
	defer os.Remove(usual)
	defer os.Remove(usual + ".old")
	say := func(env ...string) uint32 {
		h := startCommand(t, "iis", iishost.Command{Env: append(env, "TEMP="+dir, "TMP="+dir)})
		if _, err := h.client.Do(t.Context(), &client.Request{Params: vars("GET", "/stderr", "", 0)}); err == nil {
			h.client.Close()
		}
		return h.wait(t)
	}
	count := func(path string) int {
		b, _ := os.ReadFile(path)
		return bytes.Count(b, []byte("said on os.Stderr"))
	}
	for n := 1; n <= 2; n++ {
		if status := say("GATEHOUSE_LOG="); status != 0 || count(usual) != n {
			t.Errorf("run %d: exit status %d, %d lines", n, status, count(usual))
		}
	}
	if err := os.Truncate(usual, 11<<20); err != nil {
		t.Fatal(err)
	}
	if status := say("GATEHOUSE_LOG="); status != 0 || count(usual) != 1 || count(usual+".old") != 2 {
		t.Errorf("a large log: exit status %d, %d lines, %d in the old one", status, count(usual), count(usual+".old"))
	}
	if status := say(`GATEHOUSE_LOG=` + dir + `\none\x.log`); status != 3 {
		t.Errorf("a log in no directory: exit status %d", status)
	}
	if err := os.Remove(usual); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(usual, 0o755); err != nil {
		t.Fatal(err)
	}
	if status := say("GATEHOUSE_LOG="); status != 0 {
		t.Errorf("the usual log cannot be opened: exit status %d", status)
	}
}

// TestIdle: what limits an idle connection is not for IIS's.
func TestIdle(t *testing.T) {
	h := start(t, "idle")
	for i := range 2 {
		if i > 0 {
			time.Sleep(time.Second) // far beyond the limit
		}
		if _, answer := h.ask(t, "GET", "/hello", "", nil); answer != "hello\n" {
			t.Errorf("%q", answer)
		}
	}
	h.Conn().Close()
	if status := h.wait(t); status != 0 {
		t.Errorf("exit status %d", status)
	}
}
