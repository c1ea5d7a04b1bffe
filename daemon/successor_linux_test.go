package daemon

import (
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	"gatehouse/cgi/process"
	"gatehouse/internal/testkit"
	"gatehouse/systemd"
)

// TestSuccessorTooLate: one that does not serve in time, and ignores SIGTERM, is killed and
// reaped, and the socket is not touched.
func TestSuccessorTooLate(t *testing.T) {
	dir := t.TempDir()
	binary, up := filepath.Join(dir, "gatehouse"), filepath.Join(dir, "up")
	if err := os.WriteFile(binary, []byte("#!/bin/sh\ntrap '' TERM\n>"+up+"\nwhile :; do sleep 1; done\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	reaper, err := process.NewReaper()
	if err != nil {
		t.Fatal(err)
	}
	defer reaper.Close()
	d := &Daemon{log: slog.New(slog.DiscardHandler), args: []string{binary}, reaper: reaper}
	l := testkit.Listen(t, "tcp")
	s, err := d.startSuccessor([]socket{{listener: l, address: "127.0.0.1:0"}})
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	testkit.Until(t, "the successor runs", func() bool { _, err := os.Stat(up); return err == nil })
	s.report.SetReadDeadline(time.Unix(1, 0))
	checkError(t, testkit.Receive(t, "its end", s.done), "it does not serve after 1m0s (signal: killed)")
	if err := syscall.Kill(s.process.Pid, 0); err != syscall.ESRCH {
		t.Errorf("the process is left over: %v", err)
	}
	c := testkit.Dial(t, l.Addr())
	defer c.Close()
	if a, err := l.Accept(); err != nil {
		t.Error(err)
	} else {
		a.Close()
	}
}

// TestNoSuccessor: what cannot be replaced says so.
func TestNoSuccessor(t *testing.T) {
	d := &Daemon{log: slog.New(slog.DiscardHandler)}
	_, err := d.startSuccessor([]socket{{listener: testkit.Listen(t, "tcp"), address: "x"}})
	checkError(t, err, "this process has given up the rights that its successor would need: restart it")
	d.args = []string{"/bin/true"}
	_, err = d.startSuccessor(nil)
	checkError(t, err, "it serves a single connection, and ends with it")
}

// TestPredecessor: a process takes over sockets by their addresses, in their order, and
// leaves them to others until they are its own.
func TestPredecessor(t *testing.T) {
	var files []*os.File
	first, second := testkit.Listen(t, "tcp"), testkit.Listen(t, "tcp")
	for _, l := range []net.Listener{first, second} {
		files = append(files, testkit.File(t, l))
	}
	fd := func(f *os.File) int {
		raw, err := f.SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		var n int
		raw.Control(func(fd uintptr) { n, err = syscall.Dup(int(fd)) })
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	report, reportEnd, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	ownEnd, own, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer report.Close()
	a, b, unused := fd(files[0]), fd(files[1]), fd(files[0])
	h := `{"Report":` + strconv.Itoa(fd(reportEnd)) + `,"Own":` + strconv.Itoa(fd(ownEnd)) +
		`,"Sockets":[{"Address":"127.0.0.1:0","FD":` + strconv.Itoa(a) + `},{"Address":"127.0.0.1:0","FD":` + strconv.Itoa(b) + `},{"Address":"unix:/x","FD":` + strconv.Itoa(unused) + `}]}`
	reportEnd.Close()
	ownEnd.Close()
	t.Setenv(upgradeVariable, h)
	p, err := FindPredecessor()
	if err != nil || p == nil {
		t.Fatalf("FindPredecessor: %v, %v", p, err)
	}
	if _, ok := os.LookupEnv(upgradeVariable); ok {
		t.Error("the variable is left to programs")
	}
	port := Address{Kind: AddressTCP, Host: "127.0.0.1"}
	for _, want := range []net.Listener{first, second} {
		l, err := p.take(port)
		if err != nil || l == nil {
			t.Fatalf("take: %v, %v", l, err)
		}
		defer l.Close()
		if l.Addr().String() != want.Addr().String() || !l.Shared() {
			t.Errorf("took %v, shared %v; want %v", l.Addr(), l.Shared(), want.Addr())
		}
	}
	if l, err := p.take(port); l != nil || err != nil {
		t.Errorf("a third one: %v, %v", l, err)
	}
	left, stop := p.serves("/run/pid")
	defer stop()
	text, err := io.ReadAll(report)
	if err != nil {
		t.Fatal(err)
	}
	if want := `{"Taken":[` + strconv.Itoa(a) + `,` + strconv.Itoa(b) + "],\"PIDFile\":\"/run/pid\"}\n"; string(text) != want {
		t.Errorf("reported %q; want %q", text, want)
	}
	if p.Refuse(errors.New("late")) {
		t.Error("it is told after it has been told")
	}
	own.Close()
	testkit.Receive(t, "the end of the predecessor", left)
	p.takeOver()
	for _, l := range p.shared {
		if l.Shared() {
			t.Error("a socket is shared still")
		}
	}
}

func TestPredecessorMalformed(t *testing.T) {
	for _, text := range []string{"", "x", `{"Report":1,"Own":4}`} {
		t.Setenv(upgradeVariable, text)
		if p, err := FindPredecessor(); err == nil || p != nil {
			t.Errorf("%q: %v, %v", text, p, err)
		}
	}
	var p *Predecessor
	if p.Refuse(errors.New("x")) {
		t.Error("nobody was told")
	}
}

// TestPIDFileOfAnother: the file of a process that has come since stays.
func TestPIDFileOfAnother(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pid")
	if err := writePIDFile(path); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil || string(text) != strconv.Itoa(os.Getpid())+"\n" {
		t.Errorf("got %q, %v", text, err)
	}
	removePIDFile(path)
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("its own is left over: %v", err)
	}
	if err := os.WriteFile(path, []byte("1\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	removePIDFile(path)
	if _, err := os.Stat(path); err != nil {
		t.Error(err)
	}
}

// TestListenVariables: what systemd passed is passed on with its names, or without any if
// a part is missing.
func TestListenVariables(t *testing.T) {
	env := map[string]string{"LISTEN_PID": "7", "LISTEN_FDS": "2", "LISTEN_FDNAMES": "a:"}
	p := systemd.Process{PID: 7, LookupEnv: func(name string) (string, bool) { v, ok := env[name]; return v, ok }}
	if got := listenVariables(listenNames(p), []int{4, 3}); !slices.Equal(got, []string{"LISTEN_FDS=2", "LISTEN_FDNAMES=a:"}) {
		t.Errorf("got %q", got)
	}
	if got := listenVariables(listenNames(p), []int{3}); got != nil {
		t.Errorf("without one: got %q", got)
	}
	delete(env, "LISTEN_FDNAMES")
	if got := listenVariables(listenNames(p), []int{3, 4}); !slices.Equal(got, []string{"LISTEN_FDS=2", "LISTEN_FDNAMES=unknown:unknown"}) {
		t.Errorf("without names: got %q", got)
	}
	p.PID = 8
	if got := listenNames(p); got != nil {
		t.Errorf("of another process: got %q", got)
	}
}

// TestCommandLine: the path is that by which the process was started, links included.
func TestCommandLine(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	link := filepath.Join(dir, "link")
	if err := os.Symlink(self, link); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir)
	t.Chdir(dir)
	for started, want := range map[string]string{link: link, "link": link, "./link": link, "no-such-name": self, "/bin/sh": self} {
		if got := CommandLine([]string{started, "x"}); !slices.Equal(got, []string{want, "x"}) {
			t.Errorf("%s: got %q; want %s", started, got, want)
		}
	}
}
