//go:build unix

package httpcgi

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"gatehouse/cgi"
	"gatehouse/internal/testkit"
)

// tell is how a program writes the id of a process to $FILE, whole.
func tell(id string) string { return "echo " + id + ` >"$FILE.tmp" && mv "$FILE.tmp" "$FILE"` }

// readPID returns the process whose id a program writes to a file.
func readPID(t *testing.T, file string) int {
	t.Helper()
	var pid int
	testkit.Until(t, "the id of a process", func() bool {
		text, err := os.ReadFile(file)
		if err != nil || !strings.HasSuffix(string(text), "\n") {
			return false
		}
		pid, err = strconv.Atoi(strings.TrimSpace(string(text)))
		return err == nil
	})
	t.Cleanup(func() { syscall.Kill(pid, syscall.SIGKILL) })
	return pid
}

func lives(pid int) bool {
	if syscall.Kill(pid, 0) != nil {
		return false
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return true // not Linux
	}
	_, state, _ := strings.Cut(string(stat), ") ")
	return !strings.HasPrefix(state, "Z") // orphans wait for whoever reaps them
}

// pidFiles returns the names of files for what our program and theirs write. The program gets
// its as $FILE.
func pidFiles(t *testing.T) (our, their string) {
	dir := t.TempDir()
	return filepath.Join(dir, "ours"), filepath.Join(dir, "theirs")
}

// TestClientLeaves: a program that says nothing ends when its client leaves, and so do its
// children.
func TestClientLeaves(t *testing.T) {
	program := sh(t, "sleep 1000 &\n"+tell("$!")+"\nwait")
	our, their := both(t, program, nil)
	ourFile, theirFile := pidFiles(t)
	our.Env, their.Env = []string{"FILE=" + ourFile}, []string{"FILE=" + theirFile}
	leave := func(h http.Handler, file string) (pid int) {
		c := testkit.Dial(t, serve(t, h).Listener.Addr())
		io.WriteString(c, get("/p"))
		pid = readPID(t, file)
		c.Close()
		return pid
	}
	theirPID := leave(their, theirFile)
	ourPID := leave(our, ourFile)
	testkit.Until(t, "the end of the program's child", func() bool { return !lives(ourPID) })
	if !lives(theirPID) {
		t.Error("net/http/cgi: the program's child has ended, too")
	}
	// Until the program ends by itself, its request never does.
	syscall.Kill(theirPID, syscall.SIGKILL)
}

// TestTerminate: a program that must end gets TERM first, and may clean up.
func TestTerminate(t *testing.T) {
	program := sh(t, "trap '' PIPE\ntrap 'echo $$ >\"$FILE\"; exit' TERM\n"+plain+"while :; do echo xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx; done")
	our, their := both(t, program, nil)
	ourFile, theirFile := pidFiles(t)
	our.Env, their.Env = []string{"FILE=" + ourFile}, []string{"FILE=" + theirFile}
	for _, h := range []http.Handler{our, their} {
		returned := make(chan bool, 1)
		s := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			defer func() { returned <- true }()
			h.ServeHTTP(w, r)
		}))
		c := testkit.Dial(t, s.Listener.Addr())
		io.WriteString(c, get("/p"))
		if _, err := io.ReadFull(c, make([]byte, 1000)); err != nil {
			t.Fatal(err)
		}
		c.Close()
		testkit.Receive(t, "the end of the request", returned)
	}
	our.Close()
	if _, err := os.Stat(ourFile); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(theirFile); err == nil {
		t.Error("net/http/cgi: the program could clean up, too")
	}
}

// TestChildrenLeftBehind: what a program leaves behind with its stdout, or its stderr, does not
// delay the response.
func TestChildrenLeftBehind(t *testing.T) {
	for name, redirection := range map[string]string{"stdout": "2>/dev/null", "stderr": ">/dev/null"} {
		t.Run(name, func(t *testing.T) {
			program := sh(t, "sleep 1000 "+redirection+" &\n"+tell("$!")+"\n"+plain+"printf hello")
			our, their := both(t, program, nil)
			ourFile, theirFile := pidFiles(t)
			our.Env, their.Env = []string{"FILE=" + ourFile}, []string{"FILE=" + theirFile}

			ended := make(chan *httptest.ResponseRecorder, 1)
			go func() {
				w := httptest.NewRecorder()
				their.ServeHTTP(w, httptest.NewRequest("GET", "/p", nil))
				ended <- w
			}()
			theirPID := readPID(t, theirFile)

			w := httptest.NewRecorder()
			our.ServeHTTP(w, httptest.NewRequest("GET", "/p", nil))
			if w.Body.String() != "hello" {
				t.Errorf("got %d %q", w.Code, w.Body)
			}
			if pid := readPID(t, ourFile); !lives(pid) {
				t.Error("the child has been ended with its program")
			}
			select {
			case <-ended:
				t.Error("net/http/cgi: the response does not wait for the child either")
			default:
			}
			syscall.Kill(theirPID, syscall.SIGKILL)
			if w := testkit.Receive(t, "the end of net/http/cgi's request", ended); w.Body.String() != "hello" {
				t.Errorf("net/http/cgi: %q", w.Body)
			}
		})
	}
}

// TestContext: the context of a request ends the program.
func TestContext(t *testing.T) {
	our, _ := both(t, sh(t, tell("$$")+"\nexec sleep 1000"), nil)
	file, _ := pidFiles(t)
	our.Env = []string{"FILE=" + file}
	ctx, cancel := context.WithCancel(t.Context())
	returned := make(chan bool, 1)
	go func() {
		our.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/p", nil).WithContext(ctx))
		returned <- true
	}()
	pid := readPID(t, file)
	cancel()
	testkit.Receive(t, "the end of the request", returned)
	our.Close()
	if lives(pid) {
		t.Error("the program has not ended")
	}
}

// TestLimits: a Handler has the limits of script.App and cgi.Handler.HTTP.
func TestLimits(t *testing.T) {
	slow, _ := both(t, sh(t, "sleep 1000"), nil)
	slow.Limits.FirstByte = 50 * time.Millisecond
	if got := ask(t, slow, get("/p")); !strings.HasPrefix(got, "HTTP/1.1 504 ") {
		t.Errorf("a slow program: %q", got)
	}
	small, their := both(t, sh(t, plain+"cat"), nil)
	small.RequestLimits.BodyBytes = 4
	post := "POST /p HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello"
	if got := ask(t, small, post); !strings.HasPrefix(got, "HTTP/1.1 413 ") {
		t.Errorf("a large body: %q", got)
	}
	if got := ask(t, their, post); !strings.HasSuffix(got, "hello") {
		t.Errorf("net/http/cgi: a large body: %q", got)
	}
	ran := make(chan bool)
	one, _ := both(t, sh(t, tell("$$")+"\n"+plain+"cat"), nil)
	file, _ := pidFiles(t)
	one.Env = []string{"FILE=" + file}
	one.Limits.Programs, one.Limits.Queue = 1, -1
	body, more := io.Pipe()
	go func() {
		w := httptest.NewRecorder()
		r := httptest.NewRequest("POST", "/p", io.MultiReader(strings.NewReader(strings.Repeat("x", cgi.BodyAhead)), body))
		r.ContentLength = cgi.BodyAhead + 5
		one.ServeHTTP(w, r)
		ran <- w.Code == http.StatusOK
	}()
	readPID(t, file)
	if got := ask(t, one, get("/p")); !strings.HasPrefix(got, "HTTP/1.1 503 ") {
		t.Errorf("beside the program: %q", got)
	}
	io.WriteString(more, "hello")
	more.Close()
	if !testkit.Receive(t, "the end of the program", ran) {
		t.Error("the program has failed")
	}
}

// TestStalledBody: a client that stops sending does not hold the request for ever.
func TestStalledBody(t *testing.T) {
	our, their := both(t, sh(t, plain+tell("$$")), nil)
	_, file := pidFiles(t)
	their.Env = []string{"FILE=" + file}
	our.RequestLimits.BodyRead, our.RequestLimits.Linger = 50*time.Millisecond, 50*time.Millisecond
	post := "POST /p HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhe"
	if got := ask(t, our, post); !strings.HasPrefix(got, "HTTP/1.1 408 ") {
		t.Errorf("got %q", got)
	}
	returned := make(chan bool, 1)
	s := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		their.ServeHTTP(w, r)
		returned <- true
	}))
	c := testkit.Dial(t, s.Listener.Addr())
	io.WriteString(c, post)
	pid := readPID(t, file)
	testkit.Until(t, "the end of net/http/cgi's program", func() bool { return !lives(pid) })
	select {
	case <-returned:
		t.Error("net/http/cgi: the request has ended, too")
	default:
	}
	io.WriteString(c, "llo")
	testkit.Receive(t, "the end of net/http/cgi's request", returned)
}

// TestBodyOfHTTP2: over HTTP/2 a body may have no length, and the program needs one.
func TestBodyOfHTTP2(t *testing.T) {
	our, their := both(t, sh(t, plain+`printf "length $CONTENT_LENGTH $SERVER_PROTOCOL $HTTPS"`), nil)
	for h, want := range map[http.Handler]string{our: "length 5 HTTP/2.0 on", their: "length  HTTP/1.1 on"} {
		s := httptest.NewUnstartedServer(h)
		s.EnableHTTP2 = true
		s.StartTLS()
		defer s.Close()
		r, err := http.NewRequest("POST", s.URL+"/p", bufio.NewReader(strings.NewReader("hello")))
		if err != nil {
			t.Fatal(err)
		}
		res, err := s.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(res.Body)
		res.Body.Close()
		if string(b) != want || err != nil {
			t.Errorf("%T: %q %v, want %q", h, b, err, want)
		}
	}
}

// TestHandlerPerRequest: programs that make a Handler for each request, as many do, leave
// nothing behind.
func TestHandlerPerRequest(t *testing.T) {
	program := sh(t, plain+"printf hello")
	run := func() {
		w := httptest.NewRecorder()
		(&Handler{Path: program, Logger: discard, Stderr: io.Discard}).ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
		if w.Body.String() != "hello" {
			t.Fatalf("got %d %q", w.Code, w.Body)
		}
	}
	run()
	before := testkit.Descriptors(t)
	for range 50 {
		run()
	}
	testkit.Until(t, "the descriptors to be closed", func() bool {
		runtime.GC()
		return testkit.Descriptors(t) <= before
	})
}

// TestInheritedDescriptors: what this process was started with is none of the program's
// business.
func TestInheritedDescriptors(t *testing.T) {
	fd, err := syscall.Dup(0) // one that exec does not close
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(fd)
	our, their := both(t, sh(t, plain+"if [ -e /dev/fd/$FD ]; then printf open; else printf closed; fi"), nil)
	our.Env = []string{fmt.Sprint("FD=", fd)}
	their.Env = our.Env
	if got := ask(t, their, get("/p")); !strings.HasSuffix(got, "\r\n\r\nopen") { // it comes first: ours marks the descriptor
		t.Errorf("net/http/cgi: %q", got)
	}
	if got := ask(t, our, get("/p")); !strings.HasSuffix(got, "\r\n\r\nclosed") {
		t.Errorf("got %q", got)
	}
}
