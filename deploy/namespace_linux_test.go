// Package deploy_test starts the web servers that Debian ships with the embedded files,
// copied unmodified to the places that their comments name, and a gateway behind them.
//
// The tests run in a network, mount and process namespace of their own, so
// that those places and port 80 are theirs: nothing of the host changes, and
// when the tests end, for whatever reason, everything they started ends too.
package deploy_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"gatehouse/deploy"
	"gatehouse/internal/testkit"
)

// insideVariable tells the test binary that it runs inside the namespaces. It
// names the directory that the process outside made, with the built programs
// in it, and will remove.
const insideVariable = "GATEHOUSE_DEPLOY_TEST"

// workspace is the directory that insideVariable names.
var workspace = os.Getenv(insideVariable)

func TestMain(m *testing.M) {
	runProgram()
	if workspace == "" {
		code, err := enter()
		if err != nil {
			fmt.Fprintln(os.Stderr, "deploy tests:", err)
		}
		os.Exit(code)
	}
	if err := furnish(); err != nil {
		fmt.Fprintln(os.Stderr, "deploy tests:", err)
		os.Exit(1)
	}
	testkit.Main(m)
}

// enter builds what is to be tested, runs this test binary again inside new
// namespaces, and returns its exit code.
func enter() (int, error) {
	dir, err := os.MkdirTemp("", "gatehouse-deploy-")
	if err != nil {
		return 1, err
	}
	defer os.RemoveAll(dir)
	// The servers run as www-data and start programs in it.
	if err := os.Chmod(dir, 0o755); err != nil {
		return 1, err
	}
	if err := build(dir); err != nil {
		return 1, err
	}
	executable, err := os.Executable()
	if err != nil {
		return 1, err
	}

	// What go test would make of the log decides whether it may reuse this
	// result. It may not: the gateway is no part of the test binary.
	args := slices.DeleteFunc(slices.Clone(os.Args[1:]), func(arg string) bool {
		return strings.HasPrefix(arg, "-test.testlogfile=")
	})
	inner := exec.Command(executable, args...)
	inner.Env = append(os.Environ(), insideVariable+"="+dir)
	inner.Stdin, inner.Stdout, inner.Stderr = os.Stdin, os.Stdout, os.Stderr
	inner.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: unix.CLONE_NEWNET | unix.CLONE_NEWNS | unix.CLONE_NEWPID,
		Pdeathsig:  syscall.SIGKILL,
	}
	// The signal comes when the thread that started the process ends.
	runtime.LockOSThread()
	err = inner.Run()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		if exit.ExitCode() < 0 {
			return 1, err
		}
		return exit.ExitCode(), nil
	}
	if err != nil {
		return 1, fmt.Errorf("no namespaces for network, mounts and processes: %w; run as root, and a container with --privileged", err)
	}
	return 0, nil
}

// furnish makes the inside of the namespaces: a loopback interface that is up,
// and private copies of, or empty directories in place of, all that the
// servers write to and the tests install files in.
func furnish() error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make the mounts private: %w", err)
	}
	if err := unix.Mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("mount /proc: %w; a container needs --privileged", err)
	}
	if err := raiseLoopback(); err != nil {
		return fmt.Errorf("bring the loopback interface up: %w", err)
	}
	if err := installed(); err != nil {
		return err
	}
	for _, dir := range []string{"/etc", "/usr/lib/cgi-bin", "/var/lib/nginx", "/var/lib/apache2", "/var/lib/haproxy", "/var/cache/lighttpd"} {
		if err := cover(dir, true); err != nil {
			return err
		}
	}
	for _, dir := range []string{"/run", "/srv", "/usr/local/lib", "/var/log"} {
		if err := cover(dir, false); err != nil {
			return err
		}
	}
	for _, dir := range []string{"/run/lock", "/var/log/nginx", "/var/log/apache2", "/var/log/lighttpd"} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	return nil
}

// cover mounts an empty file system on dir, into which it copies what dir
// holds if contents is set.
func cover(dir string, contents bool) error {
	private := filepath.Join(workspace, strings.ReplaceAll(dir, "/", "-"))
	if err := os.Mkdir(private, 0o755); err != nil {
		return err
	}
	if err := unix.Mount("tmpfs", private, "tmpfs", unix.MS_NODEV, "mode=0755"); err != nil {
		return fmt.Errorf("mount a tmpfs: %w", err)
	}
	if contents {
		if out, err := exec.Command("cp", "-a", dir+"/.", private).CombinedOutput(); err != nil {
			return fmt.Errorf("copy %s: %w: %s", dir, err, out)
		}
	}
	if err := unix.Mount(private, dir, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("cover %s: %w", dir, err)
	}
	return nil
}

func raiseLoopback() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	request, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	request.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, request)
}

// packages maps what the tests run to the Debian package that holds it.
var packages = []struct{ path, name string }{
	{"/usr/sbin/nginx", "nginx-light"},
	{"/usr/sbin/apache2", "apache2"},
	{"/usr/lib/apache2/modules/mod_fcgid.so", "libapache2-mod-fcgid"},
	{"/usr/sbin/lighttpd", "lighttpd"},
	{"/usr/sbin/haproxy", "haproxy"},
	{"/usr/bin/cgi-fcgi", "libfcgi-bin"},
	{"/usr/bin/git", "git"},
	{"/usr/lib/git-core/git-http-backend", "git"},
	{"/usr/lib/cgi-bin/gitweb.cgi", "gitweb"},
	{"/usr/lib/cgit/cgit.cgi", "cgit"},
	{"/usr/sbin/fcgiwrap", "fcgiwrap"},
	{"/usr/bin/highlight", "highlight"},
	{"/usr/share/doc/python3-markdown", "python3-markdown"},
	{"/usr/share/doc/python3-pygments", "python3-pygments"},
	{"/usr/lib/cgi-bin/awstats.pl", "awstats"},
}

// installed returns an error that holds the command which installs what is
// missing of packages.
func installed() error {
	var missing []string
	for _, p := range packages {
		if _, err := os.Stat(p.path); err != nil && !slices.Contains(missing, p.name) {
			missing = append(missing, p.name)
		}
	}
	if missing != nil {
		return fmt.Errorf("not installed; run: apt-get install --no-install-recommends %s", strings.Join(missing, " "))
	}
	return nil
}

// webUser returns the ids of the user that Debian's web servers run as, and
// the gateway in these tests.
func webUser(t *testing.T) *syscall.Credential {
	t.Helper()
	u, err := user.Lookup("www-data")
	if err != nil {
		t.Fatal(err)
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		t.Fatal(err)
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		t.Fatal(err)
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
}

// read returns a file: an embedded one, or one of testdata or with an absolute path.
func read(t *testing.T, file string) []byte {
	t.Helper()
	var content []byte
	var err error
	if filepath.IsAbs(file) || strings.HasPrefix(file, "testdata/") {
		content, err = os.ReadFile(file)
	} else {
		content, err = fs.ReadFile(deploy.Files(), file)
	}
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// install copies a file, as [read] finds it, to path, byte for byte.
func install(t *testing.T, file, path string, mode os.FileMode) {
	t.Helper()
	content := read(t, file)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, content, mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Remove(path) })
}
