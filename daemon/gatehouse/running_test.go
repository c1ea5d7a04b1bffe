//go:build unix

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"gatehouse/internal/testkit"
)

type daemonKey struct{}

// running is the gatehouse that a script has started.
type running struct {
	cmd    *exec.Cmd
	stdout bytes.Buffer
	ended  chan struct{} // closed when the process has been waited for

	mu      sync.Mutex
	lines   []string // of standard error
	partial []byte
	grown   chan struct{} // closed, and replaced, when there is another line
}

// Write takes standard error.
func (r *running) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.partial = append(r.partial, p...)
	for {
		i := bytes.IndexByte(r.partial, '\n')
		if i < 0 {
			return len(p), nil
		}
		r.lines = append(r.lines, string(r.partial[:i]))
		r.partial = r.partial[i+1:]
		close(r.grown)
		r.grown = make(chan struct{})
	}
}

// await calls look for the lines of standard error, as they come, until it
// returns true.
func (r *running) await(ts *testscript.TestScript, what string, look func(line string) bool) {
	late := time.After(testkit.Patience)
	for next := 0; ; {
		r.mu.Lock()
		lines, grown := r.lines[next:], r.grown
		r.mu.Unlock()
		for _, line := range lines {
			if look(line) {
				return
			}
		}
		next += len(lines)
		select {
		case <-grown:
			continue
		default:
		}
		select {
		case <-grown:
		case <-r.ended:
			r.mu.Lock()
			rest := len(r.lines) > next
			r.mu.Unlock()
			if !rest {
				ts.Fatalf("gatehouse ended before %s:\n%s", what, strings.Join(r.lines, "\n"))
			}
		case <-late:
			ts.Fatalf("%s: nothing for %v:\n%s", what, testkit.Patience, strings.Join(r.lines, "\n"))
		}
	}
}

// killSuccessors kills the processes that were started to replace it, which have its standard
// error.
func (r *running) killSuccessors() {
	select {
	case <-r.ended:
		return // and so have they
	default:
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, line := range r.lines {
		var l struct{ Process int }
		if json.Unmarshal([]byte(line), &l) == nil && l.Process > 0 {
			syscall.Kill(l.Process, syscall.SIGKILL)
		}
	}
}

func started(ts *testscript.TestScript) *running { return ts.Value(daemonKey{}).(*running) }

func cmdStart(ts *testscript.TestScript, _ bool, args []string) {
	r := started(ts)
	*r = running{ended: make(chan struct{}), grown: make(chan struct{})}
	var stdin *os.File
	var names []string
	var files []*os.File
	as := "gatehouse"
	full := false
	if args[0] == "-full" {
		full, args = true, args[1:]
	}
	for ; len(args) > 1 && strings.HasPrefix(args[0], "-"); args = args[2:] {
		if args[0] == "-stdin" {
			stdin = listening(ts, args[1])
			continue
		}
		if args[0] == "-as" {
			as = args[1]
			continue
		}
		name, address, _ := strings.Cut(args[1], "=")
		names = append(names, name)
		files = append(files, listening(ts, address))
	}
	n, err := strconv.Atoi(args[0])
	ts.Check(err)
	gatehouse, err := exec.LookPath(as)
	ts.Check(err)
	r.cmd = exec.Command(gatehouse, args[1:]...)
	r.cmd.Env = []string{"PATH=" + ts.Getenv("PATH"), "GORACE=" + ts.Getenv("GORACE"), "FCGI_WEB_SERVER_ADDRS=" + ts.Getenv("FCGI_WEB_SERVER_ADDRS"), "DAEMON=own"}
	if len(files) > 0 {
		// LISTEN_PID is known in the new process only.
		r.cmd = exec.Command("/bin/sh", append([]string{"-c", `LISTEN_PID=$$ exec "$@"`, "sh", gatehouse}, args[1:]...)...)
		r.cmd.Env = append([]string{"PATH=" + ts.Getenv("PATH"), "GORACE=" + ts.Getenv("GORACE")},
			"LISTEN_FDS="+strconv.Itoa(len(files)), "LISTEN_FDNAMES="+strings.Join(names, ":"))
	}
	if v := ts.Getenv("FCGI_WEB_SERVER_ADDRS"); v != "" {
		r.cmd.Env = append(r.cmd.Env, "FCGI_WEB_SERVER_ADDRS="+v)
	}
	r.cmd.Dir = ts.MkAbs(".")
	r.cmd.Stdout, r.cmd.Stderr = &r.stdout, r
	if full {
		r.cmd.Stderr = fullPipe(ts)
	}
	if stdin != nil {
		r.cmd.Stdin = stdin
	}
	r.cmd.ExtraFiles = files
	ts.Check(r.cmd.Start())
	ts.Setenv("PID", strconv.Itoa(r.cmd.Process.Pid))
	for _, f := range append(files, stdin) {
		if f != nil {
			f.Close()
		}
	}
	go func() {
		r.cmd.Wait()
		close(r.ended)
	}()
	ts.Defer(func() {
		r.cmd.Process.Kill()
		r.killSuccessors()
		<-r.ended
	})
	if n == 0 {
		return
	}
	r.await(ts, "it listened", func(line string) bool {
		var l struct{ Msg, Protocol, Address string }
		if json.Unmarshal([]byte(line), &l) == nil && l.Msg == "listening" {
			ts.Setenv(l.Protocol, l.Address)
			n--
		}
		return n == 0
	})
}

// fullPipe returns a pipe that takes nothing, and that nobody reads.
func fullPipe(ts *testscript.TestScript) *os.File {
	reader, writer, err := os.Pipe()
	ts.Check(err)
	ts.Defer(func() {
		reader.Close()
		writer.Close()
	})
	raw, err := writer.SyscallConn()
	ts.Check(err)
	ts.Check(raw.Write(func(fd uintptr) bool {
		for err = nil; err == nil; {
			_, err = syscall.Write(int(fd), []byte("full\n"))
		}
		return true
	}))
	if err != syscall.EAGAIN {
		ts.Fatalf("the pipe is not full: %v", err)
	}
	return writer
}

// listening opens a socket to pass on.
func listening(ts *testscript.TestScript, address string) *os.File {
	network := "tcp"
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		network, address = "unix", path
	}
	l, err := net.Listen(network, address)
	ts.Check(err)
	defer l.Close()
	if u, ok := l.(*net.UnixListener); ok {
		u.SetUnlinkOnClose(false)
	}
	f, err := l.(interface{ File() (*os.File, error) }).File()
	ts.Check(err)
	return f
}

func cmdLog(ts *testscript.TestScript, _ bool, args []string) {
	pattern, err := regexp.Compile(args[0])
	ts.Check(err)
	started(ts).await(ts, "a line with "+args[0], pattern.MatchString)
}

func cmdSignal(ts *testscript.TestScript, _ bool, args []string) {
	signals := map[string]os.Signal{"TERM": syscall.SIGTERM, "INT": syscall.SIGINT, "HUP": syscall.SIGHUP, "KILL": syscall.SIGKILL,
		"QUIT": syscall.SIGQUIT, "USR1": syscall.SIGUSR1, "USR2": syscall.SIGUSR2}
	ts.Check(started(ts).cmd.Process.Signal(signals[args[0]]))
}

func cmdStatus(ts *testscript.TestScript, _ bool, args []string) {
	r := started(ts)
	select {
	case <-r.ended:
	case <-time.After(testkit.Patience):
		ts.Fatalf("gatehouse does not end:\n%s", strings.Join(r.lines, "\n"))
	}
	ts.Check(os.WriteFile(ts.MkAbs("daemon.stdout"), r.stdout.Bytes(), 0o644))
	ts.Check(os.WriteFile(ts.MkAbs("daemon.stderr"), []byte(strings.Join(r.lines, "\n")+"\n"), 0o644))
	if got := strconv.Itoa(r.cmd.ProcessState.ExitCode()); got != args[0] {
		ts.Fatalf("exit status %s; want %s:\n%s", got, args[0], strings.Join(r.lines, "\n"))
	}
}

func cmdAwait(ts *testscript.TestScript, gone bool, args []string) {
	path := args[0]
	if !filepath.IsAbs(path) {
		path = ts.MkAbs(path)
	}
	if !testkit.Poll(func() bool { _, err := os.Stat(path); return (err != nil) == gone }) {
		ts.Fatalf("%s: nothing happens", path)
	}
}

func cmdExitStatus(ts *testscript.TestScript, _ bool, args []string) {
	got := 0
	var exit *exec.ExitError
	if err := ts.Exec(args[1], args[2:]...); errors.As(err, &exit) {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if strconv.Itoa(got) != args[0] {
		ts.Fatalf("exit status %d; want %s\n%s%s", got, args[0], ts.ReadFile("stdout"), ts.ReadFile("stderr"))
	}
}
