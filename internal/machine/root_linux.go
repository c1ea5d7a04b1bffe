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

// A Release is one of Debian.
type Release string

// The releases of which there are machines.
const (
	Bookworm Release = "bookworm" // with systemd 252
	Trixie   Release = "trixie"   // with systemd 257
)

// packages are what every machine has.
const packages = "systemd,systemd-sysv,dbus,nginx-light,curl,git,logrotate,init-system-helpers,rpm"

// ofBookworm are what those of Bookworm have, too.
const ofBookworm = ",python3-venv,python3-django,python3-flask"

// Debs is the directory, in a machine, of packages that a test may install: fcgiwrap and what it
// needs.
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

// root returns the root directory that the machines of a release share in this run, which
// nobody may change. The first test makes it; others that run at the same time wait.
func root(t testing.TB, release Release) string {
	t.Helper()
	dir := filepath.Join(Run(t), string(release))
	done := dir + ".done"
	lock, err := os.Create(dir + ".lock")
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(done); err == nil {
		return dir
	}
	// Services start when they are installed, as on a machine of its own. But it has no kernel of
	// its own to load modules into.
	hooks := []string{
		`--customize-hook=rm -f "$1/usr/sbin/policy-rc.d"; ln -s /dev/null "$1/etc/systemd/system/systemd-modules-load.service"`,
		fmt.Sprintf(`--customize-hook=chroot "$1" sh -c "mkdir -p %s/partial && apt-get install -qq -y --no-install-recommends --download-only -o Dir::Cache::Archives=%[1]s fcgiwrap"`, Debs),
	}
	include := packages
	if release == Bookworm {
		include += ofBookworm
	}
	args := append([]string{"--mount", "mmdebstrap", "--quiet", "--variant=minbase", "--include=" + include, "--dpkgopt=force-unsafe-io"}, hooks...)
	// What it mounts is in a namespace of its own: nobody who removes the directory meets it.
	cmd := exec.Command("unshare", append(args, string(release), dir)...)
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
