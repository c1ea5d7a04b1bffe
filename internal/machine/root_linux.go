package machine

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// variable names the directory of this run.
const variable = "GATEHOUSE_MACHINE"

// packages are what every machine has.
const packages = "systemd,systemd-sysv,dbus,nginx-light,curl,git,logrotate,init-system-helpers"

// Debs is the directory, in the machine, of packages that a test may install: fcgiwrap and
// what it needs.
const Debs = "/var/local/debs"

// Run returns the directory of this run. It skips the test if there is none.
func Run(t testing.TB) string {
	t.Helper()
	dir := os.Getenv(variable)
	if dir == "" {
		t.Skip("it needs a Debian of its own: make deb-test")
	}
	return dir
}

// root returns the root directory that the machines of this run share, which nobody may
// change. The first test makes it; others that run at the same time wait.
func root(t testing.TB) string {
	t.Helper()
	run := Run(t)
	lock, err := os.Create(filepath.Join(run, "lock"))
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	dir, done := filepath.Join(run, "root"), filepath.Join(run, "root.done")
	if _, err := os.Stat(done); err == nil {
		return dir
	}
	download := fmt.Sprintf(`chroot "$1" sh -c "mkdir %s && cd %[1]s && apt-get download -qq fcgiwrap libfcgi-bin libfcgi0ldbl spawn-fcgi"`, Debs)
	// Services start when they are installed, as on a machine of its own.
	// What it mounts is in a namespace of its own: nobody who removes the directory meets it.
	cmd := exec.Command("unshare", "--mount", "mmdebstrap", "--quiet", "--variant=minbase", "--include="+packages, "--customize-hook="+download,
		`--customize-hook=rm -f "$1/usr/sbin/policy-rc.d"`, "bookworm", dir)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("mmdebstrap: %v; it needs root, the package mmdebstrap, and a mirror of Debian\n%s", err, tail(string(out)))
	}
	if err := os.WriteFile(done, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	return dir
}

// tail returns the last lines of a text.
func tail(s string) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return strings.Join(lines[max(0, len(lines)-20):], "\n")
}
