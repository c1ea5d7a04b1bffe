package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"gatehouse/daemon"
	"gatehouse/fastcgi/client"
	"gatehouse/internal/iishost"
	"gatehouse/internal/testkit"

	"golang.org/x/sys/windows"
)

// scriptVariable has this test binary be the interpreter of a CGI program.
const scriptVariable = "GATEHOUSE_TEST_SCRIPT"

// playScript is the CGI program; its query says what it does.
func playScript() {
	head := func() { fmt.Print("Content-Type: text/plain\n\n") }
	switch query, count, _ := strings.Cut(os.Getenv("QUERY_STRING"), "="); query {
	case "echo":
		head()
		io.Copy(os.Stdout, os.Stdin)
	case "zeros":
		head()
		n, _ := strconv.Atoi(count)
		os.Stdout.Write(make([]byte, n))
	case "stderr":
		fmt.Fprintln(os.Stderr, "said by the program")
		head()
		fmt.Print("hello\n")
	case "env":
		head()
		fmt.Println(strings.Join(os.Environ(), "\n"))
	case "tree": // has a child that holds its pipes, and waits
		child := exec.Command(os.Args[0])
		child.Env = append(os.Environ(), "QUERY_STRING=wait")
		child.Stdout, child.Stderr = os.Stdout, os.Stderr
		if err := child.Start(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return
		}
		head()
		fmt.Printf("%d %d\n", os.Getpid(), child.Process.Pid)
		time.Sleep(time.Hour)
	case "hold": // until there is a file "go" beside it
		head()
		fmt.Println("begun")
		for {
			if _, err := os.Stat(filepath.Join(filepath.Dir(os.Args[1]), "go")); err == nil {
				break
			}
			time.Sleep(10 * time.Millisecond)
		}
		fmt.Println("done")
	case "wait":
		time.Sleep(time.Hour)
	}
}

// A pipeHost is IIS's FastCGI module with gatehouse.
type pipeHost struct {
	*iishost.Application
	client *client.Conn
	log    string
}

// configured returns a directory with gatehouse.toml, which has the hello application, the
// program "run" of the directory itself at /cgi, and other lines.
func configured(t *testing.T, lines ...string) (dir string) {
	t.Helper()
	dir = temporary(t, "run", "gatehouse.toml", "log", "go")
	for name, text := range map[string]string{
		"run": "#!\"" + self(t) + "\"\r\n",
		"gatehouse.toml": strings.Join(lines, "\n") + fmt.Sprintf("\n[[app]]\nhello = true\n[[app]]\nprefix = \"/cgi\"\n"+
			"scripts = '%s'\nenv = { %s = \"1\" }\nstderr = \"client\"\n", dir, scriptVariable),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// serveOnPipe starts "gatehouse serve" with that configuration.
func serveOnPipe(t *testing.T, lines ...string) *pipeHost {
	t.Helper()
	dir := configured(t, lines...)
	h := &pipeHost{log: filepath.Join(dir, "log")}
	var err error
	h.Application, err = iishost.Start(iishost.Command{Path: self(t), Arguments: windows.ComposeCommandLine([]string{"serve", "--config", filepath.Join(dir, "gatehouse.toml")}),
		Env: append(os.Environ(), commandVariable+"=1", "GATEHOUSE_LOG="+h.log)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Application.Close() })
	h.client = client.New(h.Conn())
	return h
}

// begin sends a request as IIS does, with KEEP_CONN, and returns the response.
func (h *pipeHost) begin(t *testing.T, path string, body io.Reader, length int, params ...string) (*client.Response, *bytes.Buffer) {
	t.Helper()
	env, err := daemon.FrontIIS.Variables("http://localhost" + path)
	if err != nil {
		t.Fatal(err)
	}
	if length > 0 {
		env.Set("REQUEST_METHOD", "POST")
		env.Set("CONTENT_LENGTH", strconv.Itoa(length))
	}
	if err := daemon.SetParams(env, params); err != nil {
		t.Fatal(err)
	}
	stderr := new(bytes.Buffer)
	resp, err := h.client.Do(t.Context(), &client.Request{KeepConn: true, Params: env.All(), Stdin: body, Stderr: stderr})
	if err != nil {
		t.Fatalf("%s: %v\n%s", path, err, h.messages())
	}
	return resp, stderr
}

// ask returns the status and the body of a response, and what came on STDERR.
func (h *pipeHost) ask(t *testing.T, path string, body []byte, params ...string) (status, answer string) {
	t.Helper()
	resp, stderr := h.begin(t, path, bytes.NewReader(body), len(body), params...)
	defer resp.Close()
	b, err := io.ReadAll(resp)
	if err != nil {
		t.Fatalf("%s: %v\n%s", path, err, h.messages())
	}
	return resp.Head.Status, string(b) + stderr.String()
}

func (h *pipeHost) messages() string {
	b, _ := os.ReadFile(h.log)
	return string(b)
}

// wantExit waits for the end of gatehouse.
func (h *pipeHost) wantExit(t *testing.T, want uint32) {
	t.Helper()
	ctx, cancel := context.WithTimeoutCause(t.Context(), testkit.Patience, errors.New("gatehouse does not end"))
	defer cancel()
	if status, err := h.Wait(ctx); err != nil || status != want {
		t.Errorf("exit status %d, %v; want %d\n%s", status, err, want, h.messages())
	}
}

// TestWindowsPipe is the command behind IIS's FastCGI module: requests on one pipe, bodies,
// errors, and what programs get.
func TestWindowsPipe(t *testing.T) {
	h := serveOnPipe(t, `access_log = "stderr"`, `idle = "1ms"`)
	for range 1000 {
		if status, answer := h.ask(t, "/", nil); status != "200 OK" || answer != "hello world\n" {
			t.Fatalf("%s, %q\n%s", status, answer, h.messages())
		}
	}
	mega := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
	if status, answer := h.ask(t, "/cgi/run?echo", mega); answer != string(mega) {
		t.Errorf("%s, %d bytes of %d have come back\n%s", status, len(answer), len(mega), h.messages())
	}
	if _, answer := h.ask(t, "/cgi/run?zeros=1048576", nil); len(answer) != 1<<20 {
		t.Errorf("%d bytes; want %d", len(answer), 1<<20)
	}
	if status, answer := h.ask(t, "/cgi/run?stderr", nil); status != "200 OK" || answer != "hello\n" {
		t.Errorf("a program with messages: %s, %q", status, answer)
	}
	_, answer := h.ask(t, "/cgi/run/"+"%D0%9F%F0%9F%98%80"+"?env", nil, "PATH_INFO=/cgi/run/???", "SCRIPT_NAME=/cgi/run/???",
		"Auth_Password=hunter2", "HTTP_AUTHORIZATION=Basic hunter2", "AUTH_TYPE=Basic", "AUTH_USER=joe")
	for _, want := range []string{"PATH_INFO=/П😀\n", "AUTH_USER=joe\n", "SCRIPT_NAME=/cgi/run\n"} {
		if !strings.Contains(answer+"\n", want) {
			t.Errorf("the program lacks %q:\n%s", want, answer)
		}
	}
	for _, not := range []string{"_FCGI_", "hunter2", "\nHTTPS=", "\nREMOTE_USER=", commandVariable} {
		if strings.Contains(answer, not) {
			t.Errorf("the program has %q:\n%s", not, answer)
		}
	}
	time.Sleep(time.Second) // far beyond idle, which is not for IIS's pipe
	if _, answer := h.ask(t, "/", nil); answer != "hello world\n" {
		t.Errorf("after a pause: %q", answer)
	}
	h.Conn().Close()
	h.wantExit(t, 0)
	if log := h.messages(); !strings.Contains(log, "said by the program") || strings.Contains(log, "hunter2") {
		t.Errorf("the log has a password, or not the message:\n%s", log)
	}
}

// TestWindowsPipeShutdown: the event lets the request in flight finish.
func TestWindowsPipeShutdown(t *testing.T) {
	h := serveOnPipe(t)
	body, feed := io.Pipe()
	begun := make(chan error)
	go func() {
		_, err := io.WriteString(feed, "abc")
		begun <- err
	}()
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := <-begun; err != nil {
			t.Error(err)
		}
		if err := h.Shutdown(); err != nil {
			t.Error(err)
		}
		if !testkit.Poll(func() bool { return strings.Contains(h.messages(), `"msg":"draining: IIS asks for it"`) }) {
			t.Error("the log does not say that it drains")
		}
		io.WriteString(feed, "def")
		feed.Close()
	}()
	resp, _ := h.begin(t, "/cgi/run?echo", body, 6)
	defer resp.Close()
	if b, err := io.ReadAll(resp); string(b) != "abcdef" || err != nil {
		t.Errorf("%q, %v\n%s", b, err, h.messages())
	}
	<-done
	h.wantExit(t, 0)
}

// tree begins a request for a program with a child, and returns the numbers of both.
func (h *pipeHost) tree(t *testing.T) (resp *client.Response, pids [2]int) {
	t.Helper()
	resp, _ = h.begin(t, "/cgi/run?tree", nil, 0)
	var line []byte
	for b := make([]byte, 1); !bytes.HasSuffix(line, []byte("\n")); line = append(line, b...) {
		if _, err := io.ReadFull(resp, b); err != nil {
			t.Fatalf("%v after %q\n%s", err, line, h.messages())
		}
	}
	if _, err := fmt.Sscan(string(line), &pids[0], &pids[1]); err != nil {
		t.Fatalf("%q: %v", line, err)
	}
	return resp, pids
}

// wantEnd waits for the end of processes.
func wantEnd(t *testing.T, pids [2]int) {
	t.Helper()
	for _, pid := range pids {
		h, err := windows.OpenProcess(windows.SYNCHRONIZE, false, uint32(pid))
		if err != nil {
			continue // there is none
		}
		if event, err := windows.WaitForSingleObject(h, uint32(testkit.Patience.Milliseconds())); event != windows.WAIT_OBJECT_0 {
			t.Errorf("process %d goes on: %v, %v", pid, event, err)
		}
		windows.CloseHandle(h)
	}
}

// TestWindowsPipeClosed: a pipe that is closed in the middle of a request ends the program
// and its child, and gatehouse by 0.
func TestWindowsPipeClosed(t *testing.T) {
	h := serveOnPipe(t)
	resp, pids := h.tree(t)
	h.Conn().Close()
	h.wantExit(t, 0)
	wantEnd(t, pids)
	resp.Close()
}

// TestWindowsPipeTimeout: a limit ends a program that has not begun its response, and the pipe
// serves the next request. One that has begun is ended with its child.
func TestWindowsPipeTimeout(t *testing.T) {
	h := serveOnPipe(t, `first_byte = "1s"`)
	if status, _ := h.ask(t, "/cgi/run?wait", nil); !strings.HasPrefix(status, "504 ") {
		t.Errorf("a program that says nothing: %s\n%s", status, h.messages())
	}
	if _, answer := h.ask(t, "/", nil); answer != "hello world\n" {
		t.Errorf("after a timeout: %q", answer)
	}
	testkit.Longer(t, 5*time.Second, func(t *testing.T, limit time.Duration) (early bool) {
		h := serveOnPipe(t, fmt.Sprintf("run = %q", limit))
		env, err := daemon.FrontIIS.Variables("http://localhost/cgi/run?tree")
		if err != nil {
			t.Fatal(err)
		}
		resp, err := h.client.Do(t.Context(), &client.Request{KeepConn: true, Params: env.All()})
		if err != nil {
			t.Fatalf("%v\n%s", err, h.messages())
		}
		b, err := io.ReadAll(resp)
		resp.Close()
		var pids [2]int
		if _, scanned := fmt.Sscan(string(b), &pids[0], &pids[1]); scanned != nil {
			return true // the limit has passed before the program wrote
		}
		if err == nil {
			t.Errorf("the response is complete: %q", b)
		}
		wantEnd(t, pids)
		return false
	})
}

// TestWindowsPipeAdmin: the first of several processes shows what gatehouse does.
func TestWindowsPipeAdmin(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for address, taken := range map[string]bool{"127.0.0.1:0": false, l.Addr().String(): true} {
		h := serveOnPipe(t, fmt.Sprintf("metrics = %q", address))
		if _, answer := h.ask(t, "/", nil); answer != "hello world\n" {
			t.Errorf("%s: %q", address, answer)
		}
		h.Conn().Close()
		h.wantExit(t, 0)
		if log := h.messages(); strings.Contains(log, `"msg":"not listening"`) != taken {
			t.Errorf("%s: the log is %s", address, log)
		}
	}
}

// TestWindowsPipeRefused: what gatehouse cannot do behind IIS's pipe is in the log, and ends it.
func TestWindowsPipeRefused(t *testing.T) {
	for line, want := range map[string]string{
		`http = "127.0.0.1:0"`:      "leave out fastcgi, scgi and http",
		`http = "127.0.0.1:seven"`:  "seven",
		`paths = "microsoft"`:       `paths: "microsoft" is not one of`,
		`fastcgi = "npipe:refused"`: "gets its requests through a pipe",
	} {
		h := serveOnPipe(t, line)
		h.wantExit(t, 2)
		if log := h.messages(); !strings.Contains(log, want) {
			t.Errorf("%s: %q; want %q", line, log, want)
		}
	}
}
