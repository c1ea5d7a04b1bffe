package process

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"gatehouse/internal/testkit"
)

// inspected looks at p until what it sees is what the test waits for.
func inspected(t *testing.T, p *Process, done func(Inspection) bool) (n Inspection) {
	t.Helper()
	if !testkit.Poll(func() bool { n = p.Inspect(); return done(n) }) {
		t.Fatalf("never seen; at last\n%s\nunread: %q", n.String(), n.Unread)
	}
	return n
}

// begin starts a shell, which is ended with the test.
func begin(t *testing.T, l Starter, text string) *Process {
	t.Helper()
	p := startShell(t, l, t.TempDir(), text)
	go p.Wait()
	t.Cleanup(func() {
		p.Terminate(0)
		<-p.Exited()
		p.closePipes()
	})
	return p
}

// TestInspectTree: the program, its child, and the child of that, each with what it waits for.
func TestInspectTree(t *testing.T) {
	p := begin(t, newLauncher(t, Rules{}, nil), `SECRET=abc sh -c 'sleep 4321; true' --password=abc; true`)
	n := inspected(t, p, func(n Inspection) bool {
		return len(n.Processes) == 3 && n.Processes[0].Waits != "" && n.Processes[1].Waits != "" && strings.Contains(n.Processes[2].Waits, "asked to")
	})
	for i, want := range []Inspected{
		{Command: "sh -c SECRET=abc sh -c 'sleep 4321; true' --password=***; true", Waits: "waits for a child"},
		{Command: "sh -c sleep 4321; true --password=***", Waits: "waits for a child"},
		{Command: "sleep 4321", Waits: "sleeps because it asked to (sleep)"},
	} {
		x := n.Processes[i]
		if i == 0 {
			want.Command = x.Command // the whole text is one argument
		}
		if x.Depth != i || x.Command != want.Command || x.Waits != want.Waits || x.State != "S" || x.User != os.Geteuid() ||
			x.Descriptors < 3 || x.Memory <= 0 || x.Age < 0 || x.Age > time.Hour || x.Call == "" || x.Threads != 1 {
			t.Errorf("%d: %+v", i, x)
		}
	}
	if n.Processes[0].PID != p.PID() || len(n.Unread) > 0 {
		t.Errorf("%+v", n)
	}
	if s := n.String(); strings.Count(s, "\n") != 2 || !strings.Contains(s, "\n    ") {
		t.Errorf("%s", s)
	}
	if text, err := json.Marshal(n); err != nil || !strings.Contains(string(text), `"command":"sleep 4321"`) {
		t.Errorf("%s, %v", text, err)
	}
	p.Terminate(0)
	<-p.Exited()
	if n := p.Inspect(); len(n.Processes)+len(n.Unread) > 0 {
		t.Errorf("after its end: %+v", n)
	}
}

// TestInspectPipes: what is held up between the program and gatehouse, from either side.
func TestInspectPipes(t *testing.T) {
	l := newLauncher(t, Rules{}, nil)
	first := func(n Inspection) Inspected { return append(n.Processes, Inspected{})[0] }
	for _, tt := range []struct {
		text, send, waits, pipes string
	}{
		{"read x; true", "", "waits to read from its stdin, which has the request's body", ""},
		{"exec cat /dev/zero", "", "waits to write to its stdout, which has the response", "its stdout is full: 65536 bytes have not been taken"},
		{"exec sleep 4321", "0123456789", "sleeps because it asked to (sleep)", "its stdin holds 10 bytes of the request's body that it has not read"},
		{"echo abc; exec sleep 4321", "", "sleeps because it asked to (sleep)", "its stdout holds 4 bytes that have not been taken"},
		{"mkfifo $$ && exec cat $$", "", "waits for a file to open: a FIFO, or one of a file system that does not respond", ""},
		{"exec cat /dev/zero >&2", "", "waits to write to its stderr", ""},
	} {
		p := begin(t, l, tt.text)
		io.WriteString(p.Stdin, tt.send)
		inspected(t, p, func(n Inspection) bool {
			return first(n).Waits == tt.waits && strings.Join(n.Pipes, "\n") == tt.pipes
		})
	}
}

// TestInspectPeer: whom a program waits for over the network.
func TestInspectPeer(t *testing.T) {
	for _, network := range []string{"tcp4", "tcp6"} {
		host := map[string]string{"tcp4": "127.0.0.1", "tcp6": "::1"}[network]
		l, err := net.Listen(network, net.JoinHostPort(host, "0"))
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		_, port, _ := net.SplitHostPort(l.Addr().String())
		p := begin(t, newLauncher(t, Rules{}, nil), fmt.Sprintf("exec bash -c 'exec 5<>/dev/tcp/%s/%s; read x <&5'", host, port))
		n := inspected(t, p, func(n Inspection) bool {
			return len(n.Processes) == 1 && n.Processes[0].Waits == "waits to read from a peer over a socket"
		})
		if got := n.Processes[0].Peers; len(got) != 1 || got[0] != l.Addr().String() {
			t.Errorf("peers %q, want %s", got, l.Addr())
		}
	}
}

// TestInspectMany: the processes that are described are bounded, and the others counted.
func TestInspectMany(t *testing.T) {
	p := begin(t, newLauncher(t, Rules{}, nil), "for i in $(seq 40); do sleep 4321 & done; wait")
	n := inspected(t, p, func(n Inspection) bool { return len(n.Processes)+n.More == 41 })
	if len(n.Processes) != maxInspected || !strings.HasSuffix(n.String(), "\nand 9 more") {
		t.Errorf("%d, %d more", len(n.Processes), n.More)
	}
}

// TestInspectStray: a descendant that has left the group, and what runs is told from what
// sleeps.
func TestInspectStray(t *testing.T) {
	p := begin(t, newLauncher(t, Rules{}, nil), "setsid sh -c 'while :; do :; done' & wait")
	inspected(t, p, func(n Inspection) bool {
		return len(n.Processes) == 2 && n.Processes[1].State == "R" && n.Processes[1].Waits == "" && n.Processes[1].CPU > 0
	})
}

// TestInspectRole is the process that TestInspectRights starts.
func TestInspectRole(t *testing.T) {
	target := os.Getenv("INSPECT_PID")
	if target == "" {
		return
	}
	pid, err := strconv.Atoi(target)
	if err != nil { // one of its own
		c := exec.Command("sleep", "4321")
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		defer c.Wait()
		defer c.Process.Kill()
		pid = c.Process.Pid
	}
	p := &Process{pid: pid, exited: make(chan struct{})}
	n := inspected(t, p, func(n Inspection) bool {
		return len(n.Processes) > 0 && n.Processes[0].Waits != "" || len(n.Unread) > 0
	})
	text, err := json.Marshal(n)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Printf("\n%s\n", text)
}

// TestInspectRights: without the right to trace, everything else is shown, and the log says
// what is missing and why. Where /proc hides the process, it says that.
func TestInspectRights(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Fatal("this test changes users and mounts: run it as root")
	}
	dir, err := os.MkdirTemp("", "inspect")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	self := filepath.Join(dir, "test")
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("cp", binary, self).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	const target, other = 54321, 12345
	prog := exec.Command("sh", "-c", "sleep 4321 & wait")
	prog.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: target, Gid: target}, Setpgid: true}
	if err := prog.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Kill(-prog.Process.Pid, syscall.SIGKILL); prog.Wait() })
	pid := strconv.Itoa(prog.Process.Pid)
	testkit.Until(t, "the program sleeps", func() bool {
		below := children(prog.Process.Pid)
		if len(below) == 0 {
			return false
		}
		line, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", below[0]))
		return string(line) == "sleep\x004321\x00"
	})

	const drop = "setpriv --reuid 12345 --regid 12345 --clear-groups --no-new-privs --bounding-set=-all "
	for _, tt := range []struct {
		name, command, pid string
		processes          int
		waits, unread      string
	}{
		{"root", "exec ", pid, 2, "waits for a signal, as shells do for their children", ""},
		{"another user", "exec " + drop, pid, 2, "has children, and may wait for them",
			fmt.Sprintf("system call, wait channel, descriptors of %s, CHILD: run by user %d, and gatehouse, run by user %d, lacks the right to trace others (CAP_SYS_PTRACE)", pid, target, other)},
		{"root without capabilities", "exec setpriv --no-new-privs --bounding-set=-all --inh-caps=-all ", pid, 2, "has children, and may wait for them",
			fmt.Sprintf("system call, wait channel, descriptors of %s, CHILD: run by user %d, and gatehouse, run by user 0, lacks the right to trace others (CAP_SYS_PTRACE)", pid, target)},
		{"the same user without capabilities", "exec " + drop, "own", 1, "sleeps because it asked to (sleep)", ""},
		{"the strict unit", "mount -t proc -o hidepid=invisible,subset=pid proc /proc && exec " + drop, "own", 1, "sleeps because it asked to (sleep)", ""},
		{"hidepid", "mount -t proc -o hidepid=invisible proc /proc && exec " + drop, pid, 1, "",
			"everything of " + pid + ": /proc hides the processes of other users (its option hidepid, in a systemd unit ProtectProc=)"},
		{"no /proc", "mount -t tmpfs none /proc && exec " + drop, pid, 1, "",
			"everything of " + pid + ": /proc is not mounted where gatehouse runs"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := exec.Command("unshare", "-m", "sh", "-c", tt.command+self+" -test.run=TestInspectRole")
			c.Env = append(os.Environ(), "INSPECT_PID="+tt.pid)
			out, err := c.CombinedOutput()
			if err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			var n Inspection
			for line := range strings.Lines(string(out)) {
				if strings.HasPrefix(line, "{") {
					if err := json.Unmarshal([]byte(line), &n); err != nil {
						t.Fatal(err)
					}
				}
			}
			if len(n.Processes) != tt.processes || n.Processes[0].Waits != tt.waits {
				t.Fatalf("%s", out)
			}
			if tt.processes == 2 {
				child := n.Processes[1]
				tt.unread = strings.ReplaceAll(tt.unread, "CHILD", strconv.Itoa(child.PID))
				if child.Command != "sleep 4321" || child.State != "S" || child.Memory == 0 || child.User != target {
					t.Errorf("child %+v", child)
				}
			}
			if got := strings.Join(n.Unread, "\n"); got != tt.unread {
				t.Errorf("unread %q\nwant   %q", got, tt.unread)
			}
		})
	}
}

func TestParseEndpoint(t *testing.T) {
	for s, want := range map[string]string{
		"00000000:0000":                         "", // not connected
		"zz:1":                                  "",
		"0100:1":                                "",
		"":                                      "",
		"00000000000000000000000001000000:0050": "[::1]:80",
		"0000000000000000FFFF00000100007F:1538": "127.0.0.1:5432",
		"0100007F:1538":                         "127.0.0.1:5432",
	} {
		if got := parseEndpoint(s); got != want { // on machines that are little-endian
			t.Errorf("%q: %q, want %q", s, got, want)
		}
	}
}

func TestParseSyscall(t *testing.T) {
	for text, want := range map[string]string{
		"running\n":     "",
		"-1 0x7ff 0x7f": "",
		"":              "",
		fmt.Sprintf("%d 0x3 0x0", syscall.SYS_READ):         "read of descriptor 3",
		fmt.Sprintf("%d 0xffffffff 0x0", syscall.SYS_WAIT4): "wait4",
		"99999 0x3": "system call 99999",
	} {
		if got := parseSyscall([]byte(text)).String(); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}
