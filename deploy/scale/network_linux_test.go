package scale_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"gatehouse/internal/testkit"
)

// host is another machine: a network namespace of its name, with one address.
type host struct{ name, address string }

// front is the address of the machine that the web server and the clients are on.
const front = "192.0.2.1"

// The machines that the files name, and one that nobody knows.
var (
	gateways = []host{{"a", "192.0.2.11"}, {"b", "192.0.2.12"}, {"c", "192.0.2.13"}}
	stranger = host{"stranger", "192.0.2.66"}
)

// apart runs a test in namespaces of its own, with all hosts on one bridge, and reports
// whether this is that process.
func apart(t *testing.T) bool {
	t.Helper()
	t.Parallel()
	if !testkit.Alone(t, &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNET | unix.CLONE_NEWNS | unix.CLONE_NEWPID}) {
		return false
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		t.Fatalf("make the mounts private: %v; run as root, and a container with --privileged", err)
	}
	if err := unix.Mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		t.Fatalf("mount /proc: %v; a container needs --privileged", err)
	}
	for _, dir := range []string{"/run", "/srv", "/var/log", "/var/lib/nginx", "/etc/nginx/conf.d", "/etc/nginx/sites-enabled"} {
		if err := unix.Mount("tmpfs", dir, "tmpfs", unix.MS_NODEV, "mode=0755"); err != nil {
			t.Fatalf("mount a tmpfs on %s: %v", dir, err)
		}
	}
	for _, dir := range []string{"/run/haproxy", "/var/log/nginx", programs, state} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	// Where programs of an ordinary user write.
	if err := os.Chmod(state, 0o777); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(programs, "quick"), quick, 0o755)
	write(t, filepath.Join(programs, "hold"), hold, 0o755)
	ip(t, "link set lo up")
	ip(t, "link add br0 type bridge")
	ip(t, "address add "+front+"/24 dev br0")
	ip(t, "link set br0 up")
	for _, h := range append(gateways, stranger) {
		ip(t, "netns add "+h.name)
		ip(t, "link add name "+h.link()+" type veth peer name eth0 netns "+h.name)
		ip(t, "link set "+h.link()+" master br0 up")
		ip(t, "-n "+h.name+" link set lo up")
		ip(t, "-n "+h.name+" address add "+h.address+"/24 dev eth0")
		ip(t, "-n "+h.name+" link set eth0 up")
	}
	return true
}

func ip(t *testing.T, args string) {
	t.Helper()
	if out, err := exec.Command("/usr/sbin/ip", strings.Fields(args)...).CombinedOutput(); err != nil {
		t.Fatalf("ip %s: %v\n%s", args, err, out)
	}
}

// link is the port of the bridge that the host is on.
func (h host) link() string { return "to-" + h.name }

// cut takes the host off the network, which tells nobody: packets go nowhere.
func (h host) cut(t *testing.T) {
	t.Helper()
	ip(t, "link set "+h.link()+" down")
}

// mend is the opposite of cut.
func (h host) mend(t *testing.T) {
	t.Helper()
	ip(t, "link set "+h.link()+" up")
}

// command is one that runs on the host.
func (h host) command(name string, args ...string) *exec.Cmd {
	return exec.Command("/usr/sbin/ip", append([]string{"netns", "exec", h.name, name}, args...)...)
}

// connections returns how many connections from the front to the host are established, as
// far as the front knows.
func (h host) connections(t *testing.T, port string) (n int) {
	t.Helper()
	out, err := exec.Command("/usr/bin/ss", "-Htn", "state", "established", "dst", h.address+":"+port).Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.Count(string(out), "\n")
}

func write(t *testing.T, path, content string, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

func exists(elem ...string) bool {
	_, err := os.Stat(filepath.Join(elem...))
	return err == nil
}
