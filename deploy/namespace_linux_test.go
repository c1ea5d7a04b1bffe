package deploy_test

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"gatehouse/deploy"
)

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
	for _, dir := range []string{"/etc", "/usr/lib/cgi-bin", "/var/lib/nginx", "/var/lib/apache2", "/var/lib/haproxy", "/var/lib/caddy", "/var/cache/lighttpd"} {
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
	{"/usr/bin/caddy", "caddy"},
	{"/usr/bin/cgi-fcgi", "libfcgi-bin"},
	{"/usr/bin/git", "git"},
	{"/usr/lib/git-core/git-http-backend", "git"},
	{"/usr/lib/cgi-bin/gitweb.cgi", "gitweb"},
	{"/usr/lib/cgit/cgit.cgi", "cgit"},
	{"/usr/sbin/fcgiwrap", "fcgiwrap"},
	{"/usr/bin/systemd-socket-activate", "systemd"},
	{"/usr/sbin/rsyslogd", "rsyslog"},
	{"/usr/bin/highlight", "highlight"},
	{"/usr/share/doc/python3-markdown", "python3-markdown"},
	{"/usr/share/doc/python3-pygments", "python3-pygments"},
	{"/usr/lib/cgi-bin/awstats.pl", "awstats"},
	{"/usr/lib/cgi-bin/php", "php-cgi"},
	{"/usr/sbin/php-fpm8.2", "php8.2-fpm"},
	{"/usr/bin/fossil", "fossil"},
	{"/usr/bin/caddy", "caddy"},
	{"/usr/bin/spawn-fcgi", "spawn-fcgi"},
	{"/usr/include/fcgiapp.h", "libfcgi-dev"},
	{"/usr/share/perl5/CGI/Fast.pm", "libcgi-fast-perl"},
	{"/usr/share/perl5/Config/Grammar.pm", "libconfig-grammar-perl"},
	{"/usr/share/perl5/SNMP_Session.pm", "libsnmp-session-perl"},
	{"/usr/lib/python3/dist-packages/django", "python3-django"},
	{"/usr/lib/python3/dist-packages/flask", "python3-flask"},
	{"/usr/lib/python3/dist-packages/radicale", "python3-radicale"},
	{"/usr/lib/python3/dist-packages/klaus", "python3-klaus"},
	{"/usr/bin/hg", "mercurial"},
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
