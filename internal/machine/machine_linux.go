package machine

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// patience is how long a test waits for what must happen.
const patience = 5 * time.Minute

// A Machine is a running Debian. Its methods fail the test if they cannot do what they say.
type Machine struct {
	t       testing.TB
	release Release
	dir     string // holds the changes to the shared root
	cmd     *exec.Cmd
	console bytes.Buffer
	ended   chan struct{}
}

// boot mounts the root and executes systemd. $1 is the shared root, $2 the directory of the
// machine, $3 the name of its control group, which is the root of all that it sees: machines
// that run at the same time have units of the same name. It has control groups of version 2,
// with the controllers that no hierarchy of version 1 has.
const boot = `set -e
mount --make-rprivate /
mkdir -p "$2/root"
mount -t overlay overlay -o "lowerdir=$1,upperdir=$2/upper,workdir=$2/work" "$2/root"
cd "$2/root"
mount -t proc proc proc
mount -t tmpfs -o mode=0755 tmpfs run
mount -t tmpfs -o mode=1777 tmpfs tmp
mount -t tmpfs -o mode=0755 tmpfs dev
mkdir dev/pts dev/shm
mknod -m 666 dev/null c 1 3
mknod -m 666 dev/zero c 1 5
mknod -m 666 dev/full c 1 7
mknod -m 666 dev/random c 1 8
mknod -m 666 dev/urandom c 1 9
mknod -m 666 dev/tty c 5 0
ln -s pts/ptmx dev/ptmx
mount --rbind /sys sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mkdir "sys/fs/cgroup/$3"
echo 0 >"sys/fs/cgroup/$3/cgroup.procs"
umount sys/fs/cgroup
ip link set lo up 2>/dev/null || true
exec unshare --cgroup sh -ec '
mount -t cgroup2 cgroup2 sys/fs/cgroup
mkdir -p old
pivot_root . old
umount -l /old
exec env -i container=docker PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd --system --show-status=no'`

// ungroup removes the control group $1 of a machine that has ended.
const ungroup = `set -e
mount -t cgroup2 cgroup2 /sys/fs/cgroup
! [ -d "/sys/fs/cgroup/$1" ] || find "/sys/fs/cgroup/$1" -depth -type d -exec rmdir {} +`

// Boot boots a machine with a fresh root of Bookworm. The test ends it. It skips a test that
// runs outside of "make deb-test".
func Boot(t testing.TB) *Machine {
	t.Helper()
	return BootRelease(t, Bookworm)
}

// BootRelease is Boot for another release.
func BootRelease(t testing.TB, release Release) *Machine {
	t.Helper()
	m := &Machine{t: t, release: release, dir: t.TempDir()}
	for _, sub := range []string{"upper", "work"} {
		if err := os.Mkdir(filepath.Join(m.dir, sub), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	m.start()
	t.Cleanup(m.Kill)
	return m
}

// Reboot ends the machine as a loss of power does, and boots it again.
func (m *Machine) Reboot() {
	m.t.Helper()
	m.Kill()
	m.start()
}

func (m *Machine) start() {
	m.t.Helper()
	m.console.Reset()
	m.cmd = exec.Command("sh", "-c", boot, "sh", root(m.t, m.release), m.dir, m.group())
	m.cmd.Stdout, m.cmd.Stderr = &m.console, &m.console
	m.cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: unix.CLONE_NEWPID | unix.CLONE_NEWNS | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC | unix.CLONE_NEWNET,
		Pdeathsig:  syscall.SIGKILL,
	}
	started := make(chan error)
	m.ended = make(chan struct{})
	go func(ended chan struct{}) {
		defer close(ended)
		// The signal comes when the thread that started the process ends.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := m.cmd.Start()
		started <- err
		if err == nil {
			_ = m.cmd.Wait()
		}
	}(m.ended)
	if err := <-started; err != nil {
		m.t.Fatalf("start a machine: %v", err)
	}
	var state string
	if !m.poll(func() bool {
		out, _ := m.Command("systemctl", "is-system-running").Output()
		state = strings.TrimSpace(string(out))
		return state == "running" || state == "degraded"
	}) || state != "running" {
		failed, _ := m.Command("systemctl", "--failed", "--no-legend").CombinedOutput()
		m.Kill()
		m.t.Fatalf("the machine is %q\n%s\n%s", state, failed, tail(m.console.String()))
	}
}

// Kill ends the machine at once, with all that runs in it.
func (m *Machine) Kill() {
	_ = m.cmd.Process.Kill()
	<-m.ended
	if out, err := exec.Command("unshare", "--mount", "sh", "-c", ungroup, "sh", m.group()).CombinedOutput(); err != nil {
		m.t.Errorf("the control group of the machine cannot be removed: %v\n%s", err, out)
	}
}

// group returns the name of the machine's control group.
func (m *Machine) group() string { return "machine" + strings.ReplaceAll(m.dir, "/", "-") }

// Command returns a command that runs in the machine, as root.
func (m *Machine) Command(name string, args ...string) *exec.Cmd {
	inner := append([]string{"-t", strconv.Itoa(m.cmd.Process.Pid), "-m", "-p", "-n", "-u", "-i", "-C",
		"env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8", "HOME=/root", "DEBIAN_FRONTEND=noninteractive", name}, args...)
	return exec.Command("nsenter", inner...)
}

// Run runs a command in the machine, and returns its output. It fails the test if the
// command fails.
func (m *Machine) Run(name string, args ...string) string {
	m.t.Helper()
	out, err := m.Command(name, args...).CombinedOutput()
	if err != nil {
		m.t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, tail(string(out)))
	}
	return strings.TrimSpace(string(out))
}

// Shell runs a script in the machine.
func (m *Machine) Shell(script string) string {
	m.t.Helper()
	return m.Run("sh", "-ec", script)
}

// Fails runs a command in the machine that must fail, and returns its output.
func (m *Machine) Fails(name string, args ...string) string {
	m.t.Helper()
	out, err := m.Command(name, args...).CombinedOutput()
	if err == nil {
		m.t.Fatalf("%s %s: it does not fail\n%s", name, strings.Join(args, " "), tail(string(out)))
	}
	return strings.TrimSpace(string(out))
}

// Property returns a property of a unit, as systemctl show prints it.
func (m *Machine) Property(unit, property string) string {
	m.t.Helper()
	return m.Run("systemctl", "show", "--value", "-p", property, unit)
}

// Journal returns what a unit has logged.
func (m *Machine) Journal(unit string) string {
	m.t.Helper()
	return m.Run("journalctl", "--no-pager", "-o", "cat", "-u", unit)
}

// Write writes a file in the machine, in place of what is there, and makes its directory.
func (m *Machine) Write(path, content string, mode os.FileMode) {
	m.t.Helper()
	cmd := m.Command("sh", "-ec", `mkdir -p "$(dirname "$1")"; rm -f "$1"; cat >"$1"; chmod "$2" "$1"`, "sh", path, strconv.FormatUint(uint64(mode), 8))
	cmd.Stdin = strings.NewReader(content)
	if out, err := cmd.CombinedOutput(); err != nil {
		m.t.Fatalf("write %s: %v\n%s", path, err, out)
	}
}

// Copy copies a file into a directory of the machine, and returns its path there.
func (m *Machine) Copy(file, dir string) string {
	m.t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		m.t.Fatal(err)
	}
	path := filepath.Join(dir, filepath.Base(file))
	m.Write(path, string(content), 0o755)
	return path
}

// Exists reports whether there is a file in the machine, or a symlink.
func (m *Machine) Exists(path string) bool {
	return m.Command("sh", "-c", `[ -e "$1" ] || [ -L "$1" ]`, "sh", path).Run() == nil
}

// Until waits until done returns true.
func (m *Machine) Until(what string, done func() bool) {
	m.t.Helper()
	if !m.poll(done) {
		m.t.Fatalf("%s: not true after %v", what, patience)
	}
}

func (m *Machine) poll(done func() bool) bool {
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if done() {
			return true
		}
		select {
		case <-m.ended:
			return false
		default:
		}
	}
	return false
}
