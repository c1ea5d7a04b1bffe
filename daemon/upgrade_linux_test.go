package daemon

import (
	"bufio"
	"context"
	"encoding/json"
	commandline "flag"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"gatehouse"
	"gatehouse/internal/testkit"

	"golang.org/x/sys/unix"
)

var (
	upgrades = commandline.Int("upgrades", 3, "how often TestReplacementLosesNothing replaces the process by SIGUSR2")
	restarts = commandline.Int("restarts", 3, "how often TestReplacementLosesNothing restarts the process")
)

// perReplacement is how many requests a process serves at least before it is replaced.
const perReplacement = 50

// buildGatehouse builds the command, and returns its path in a directory with a short one.
func buildGatehouse(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "gatehouse")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	cmd := exec.Command("go", "build", "-o", dir, "gatehouse/daemon/gatehouse")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return filepath.Join(dir, "gatehouse")
}

// A gateProcess is a gatehouse in a process of its own, and the processes that replace it.
type gateProcess struct {
	pid int
	log chan gateLine
}

type gateLine struct {
	Msg, Protocol, Address string
	Process                int
}

// startGate starts gatehouse with descriptors from 3 on.
func startGate(t *testing.T, binary string, files []*os.File, args ...string) *gateProcess {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(binary, args...)
	cmd.Stderr, cmd.ExtraFiles = w, files
	err = cmd.Start()
	w.Close()
	if err != nil {
		t.Fatal(err)
	}
	g := &gateProcess{pid: cmd.Process.Pid, log: make(chan gateLine, 1000)}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for s := bufio.NewScanner(r); s.Scan(); {
			var line gateLine
			if json.Unmarshal(s.Bytes(), &line) != nil {
				line.Msg = s.Text() // of no log
			}
			g.log <- line
		}
		r.Close()
	}()
	t.Cleanup(func() {
		if g.pid > 0 {
			unix.Kill(g.pid, unix.SIGKILL)
			unix.Wait4(g.pid, nil, 0, nil)
		}
		go func() {
			for range g.log { // so that who writes it ends
			}
		}()
		<-ended
		close(g.log)
	})
	return g
}

// logs waits for a line that begins with a text.
func (g *gateProcess) logs(t *testing.T, text string) gateLine {
	t.Helper()
	for {
		line := testkit.Receive(t, text, g.log)
		switch {
		case strings.HasPrefix(line.Msg, text):
			return line
		case strings.HasPrefix(line.Msg, "upgrade failed"):
			t.Fatalf("%+v", line)
		}
	}
}

// end waits for the end of a process, which must be a child or an orphan of this one.
func (g *gateProcess) end(t *testing.T) {
	t.Helper()
	pid := g.pid
	ended := make(chan unix.WaitStatus, 1)
	go func() {
		var ws unix.WaitStatus
		if _, err := unix.Wait4(pid, &ws, 0, nil); err != nil {
			t.Errorf("process %d: %v", pid, err)
		}
		ended <- ws
	}()
	if ws := testkit.Receive(t, "the end of a process", ended); !ws.Exited() || ws.ExitStatus() != 0 {
		t.Errorf("process %d ended with %#x", pid, ws)
	}
	g.pid = 0
}

// loadTargets are the protocols on both kinds of sockets.
func loadTargets() (targets []*drainTarget) {
	for _, protocol := range []gatehouse.Protocol{gatehouse.FastCGI, gatehouse.SCGI, gatehouse.HTTP} {
		for _, network := range []string{"unix", "tcp"} {
			targets = append(targets, &drainTarget{protocol: protocol, network: network})
		}
	}
	return targets
}

// A load is clients that make a connection for each request, as fast as they can.
type load struct {
	*drainClients
	targets []*drainTarget
	ended   sync.WaitGroup
	cancel  context.CancelFunc
}

func startLoad(t *testing.T, targets []*drainTarget, addrs []net.Addr) *load {
	l := &load{drainClients: &drainClients{t: t, enough: make(chan struct{})}, targets: targets}
	l.up, l.cancel = context.WithCancel(context.Background())
	l.left.Store(1 << 62)
	t.Cleanup(l.stop)
	for i, target := range targets {
		l.ended.Go(func() { l.run(target, addrs[i], 0) })
		l.ended.Go(func() { l.run(target, addrs[i], len(drainRequest[target.protocol])/2) })
	}
	return l
}

// more waits until each of the targets has served n more requests.
func (l *load) more(t *testing.T, n int64) {
	t.Helper()
	before := make([]int64, len(l.targets))
	for i, target := range l.targets {
		before[i] = target.served.Load()
	}
	if !testkit.Poll(func() bool {
		for i, target := range l.targets {
			if target.served.Load() < before[i]+n {
				return t.Failed()
			}
		}
		return true
	}) {
		t.Fatal("requests are not served")
	}
}

// stop ends the clients, each after its request.
func (l *load) stop() {
	l.draining.Store(true)
	l.cancel()
	l.ended.Wait()
}

// report logs how much has been served.
func (l *load) report(t *testing.T, what string) {
	for _, target := range l.targets {
		t.Logf("%s on %s: %d requests, %s", target.protocol, target.network, target.served.Load(), what)
	}
}

// TestReplacementLosesNothing has clients make requests while the process is replaced by
// another one, in both ways, again and again: none fails.
func TestReplacementLosesNothing(t *testing.T) {
	binary := buildGatehouse(t)
	t.Run("upgrade", func(t *testing.T) { upgradeUnderLoad(t, binary) })
	t.Run("restart", func(t *testing.T) { restartUnderLoad(t, binary) })
}

// upgradeUnderLoad replaces the binary, and the process by SIGUSR2.
func upgradeUnderLoad(t *testing.T, binary string) {
	// The processes that replace the first one become children of this one.
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		t.Fatal(err)
	}
	defer unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)
	dir := filepath.Dir(binary)
	code, err := os.ReadFile(binary)
	if err != nil {
		t.Fatal(err)
	}
	pidFile := filepath.Join(dir, "pid")
	config := filepath.Join(dir, "toml")
	targets := loadTargets()
	text := fmt.Sprintf("pid_file = %q\n", pidFile)
	for _, protocol := range []gatehouse.Protocol{gatehouse.FastCGI, gatehouse.SCGI, gatehouse.HTTP} {
		text += fmt.Sprintf("%s = [\"unix:%s/%[1]s\", \"127.0.0.1:0\"]\n", protocol, dir)
	}
	if err := os.WriteFile(config, []byte(text+"[[app]]\nhello = true\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	gate := startGate(t, binary, nil, "serve", "--config", config)
	addrs := make([]net.Addr, len(targets))
	for range targets {
		line := gate.logs(t, "listening")
		for i, target := range targets {
			path, isUnix := strings.CutPrefix(line.Address, "unix:")
			if string(target.protocol) != line.Protocol || isUnix != (target.network == "unix") {
				continue
			}
			if isUnix {
				addrs[i] = &net.UnixAddr{Net: "unix", Name: path}
			} else {
				addrs[i] = net.TCPAddrFromAddrPort(netip.MustParseAddrPort(line.Address))
			}
		}
	}
	clients := startLoad(t, targets, addrs)
	for i := range *upgrades {
		clients.more(t, perReplacement)
		next := binary + ".next"
		if err := os.WriteFile(next, append(code, fmt.Sprintf("version %d", i)...), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(next, binary); err != nil {
			t.Fatal(err)
		}
		unix.Kill(gate.pid, unix.SIGUSR2)
		successor := gate.logs(t, "draining: the new").Process
		gate.end(t)
		gate.pid = successor
		if exe, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", successor)); err != nil || exe != binary {
			t.Fatalf("the successor runs %s, %v; want %s", exe, err, binary)
		}
		if !testkit.Poll(func() bool { pid, err := ReadPIDFile(pidFile); return err == nil && pid == successor }) {
			t.Fatal("pid_file does not name the successor")
		}
	}
	clients.more(t, perReplacement)
	clients.draining.Store(true)
	unix.Kill(gate.pid, unix.SIGTERM)
	gate.end(t)
	clients.stop()
	clients.report(t, fmt.Sprintf("%d upgrades", *upgrades))
	for _, left := range []string{pidFile, filepath.Join(dir, "fastcgi")} {
		if _, err := os.Lstat(left); !os.IsNotExist(err) {
			t.Errorf("%s is left over: %v", left, err)
		}
	}
}

// restartUnderLoad ends the process and starts it again on sockets that stay open, as those
// of a systemd socket unit do: requests wait meanwhile.
func restartUnderLoad(t *testing.T, binary string) {
	dir := filepath.Dir(binary)
	targets := loadTargets()
	addrs := make([]net.Addr, len(targets))
	var files []*os.File
	args := []string{"serve", "--app", "hello"}
	for i, target := range targets {
		address := "127.0.0.1:0"
		if target.network == "unix" {
			address = filepath.Join(dir, string(target.protocol))
		}
		l, err := net.Listen(target.network, address)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		f := testkit.File(t, l)
		defer f.Close()
		addrs[i], files = l.Addr(), append(files, f)
		args = append(args, fmt.Sprintf("--%s=fd:%d", target.protocol, 3+i))
	}
	gate := startGate(t, binary, files, args...)
	clients := startLoad(t, targets, addrs)
	for range *restarts {
		clients.more(t, perReplacement)
		unix.Kill(gate.pid, unix.SIGTERM)
		gate.end(t)
		gate = startGate(t, binary, files, args...)
	}
	clients.more(t, perReplacement)
	clients.stop()
	clients.report(t, fmt.Sprintf("%d restarts", *restarts))
}
