package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"gatehouse/internal/testkit"
)

// A child is a gatehouse in a process of its own, in a test that is no script.
type child struct {
	cmd    *exec.Cmd
	client http.Client // every URL leads to the gatehouse
	log    chan string // the lines of its log
	logged string      // those that a test has waited for
	ended  chan struct{}
}

// serve starts gatehouse with a configuration, which has it listen for HTTP on the unix
// socket http in a directory. Arguments before the command, such as "limited", are those
// of a program that becomes gatehouse.
func serve(t *testing.T, dir, config string, before ...string) *child {
	t.Helper()
	file, socket := filepath.Join(dir, "gatehouse.toml"), filepath.Join(dir, "http")
	if err := os.WriteFile(file, []byte(fmt.Sprintf("http = [\"unix:%s,mode=0666\"]\n%s", socket, config)), 0o644); err != nil {
		t.Fatal(err)
	}
	args := append(before, "gatehouse", "serve", "--config", file)
	c := &child{cmd: exec.Command(args[0], args[1:]...), log: make(chan string, 10000), ended: make(chan struct{})}
	stderr, err := c.cmd.StderrPipe()
	if err == nil {
		err = c.cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	c.client.Transport = &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}
	go func() {
		defer close(c.ended)
		for s := bufio.NewScanner(stderr); s.Scan(); {
			select {
			case c.log <- s.Text():
			default:
			}
		}
		close(c.log)
		c.cmd.Wait()
	}()
	t.Cleanup(func() { c.kill(t) })
	c.logs(t, "listening")
	return c
}

// logs waits for a line of the log with a text.
func (c *child) logs(t *testing.T, text string) {
	t.Helper()
	for !strings.Contains(c.logged, text) {
		line := testkit.Receive(t, "a line of the log with "+text, c.log)
		if line == "" {
			t.Fatalf("gatehouse ended before it logged %q:\n%s", text, c.logged)
		}
		c.logged += line + "\n"
	}
}

// kill sends KILL, and waits for the end.
func (c *child) kill(t *testing.T) {
	c.cmd.Process.Kill()
	testkit.Receive(t, "the end of gatehouse", c.ended)
}

// end waits for the end, and checks the exit status.
func (c *child) end(t *testing.T, status int) {
	t.Helper()
	testkit.Receive(t, "the end of gatehouse", c.ended)
	if got := c.cmd.ProcessState.ExitCode(); got != status {
		t.Errorf("exit status %d; want %d", got, status)
	}
}

// limited is a program that is gatehouse as a user that may have so many processes:
//
//	limited UID PROCESSES gatehouse ARGUMENT...
func limited() {
	uid, _ := strconv.Atoi(os.Args[1])
	processes, _ := strconv.Atoi(os.Args[2])
	limit := unix.Rlimit{Cur: uint64(processes), Max: uint64(processes)}
	if err := errors.Join(unix.Setrlimit(unix.RLIMIT_NPROC, &limit), syscall.Setgroups(nil), syscall.Setgid(uid), syscall.Setuid(uid)); err != nil {
		fmt.Fprintln(os.Stderr, "limited:", err)
		os.Exit(125)
	}
	os.Args = os.Args[3:]
	main()
}

// openDir returns a directory that every user may write, with a short path, as a socket
// needs it, and makes programs in its directory cgi.
func openDir(t *testing.T, programs map[string]string) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "gatehouse")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := errors.Join(os.Chmod(dir, 0o777), os.Mkdir(filepath.Join(dir, "cgi"), 0o755)); err != nil {
		t.Fatal(err)
	}
	for name, text := range programs {
		if err := os.WriteFile(filepath.Join(dir, "cgi", name), []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// A program is a process whose number a CGI program has told.
type program struct{ pidfd int }

// run requests a program that responds with a number, and leaves it running.
func (c *child) run(t *testing.T, path string) *program {
	t.Helper()
	res, err := c.client.Get("http://gatehouse" + path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { res.Body.Close() })
	var pid int
	if _, err := fmt.Fscan(res.Body, &pid); err != nil {
		t.Fatalf("%s: %s: %v", path, res.Status, err)
	}
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0)
		unix.Close(fd)
	})
	return &program{fd}
}

// ends reports whether the process ends within a time.
func (p *program) ends(within time.Duration) bool {
	n, _ := unix.Poll([]unix.PollFd{{Fd: int32(p.pidfd), Events: unix.POLLIN}}, int(within.Milliseconds()))
	return n == 1
}
