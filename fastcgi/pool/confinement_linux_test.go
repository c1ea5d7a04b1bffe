package pool

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"gatehouse/cgi/process"
	"gatehouse/internal/testkit"
)

// report tells what a process is, and whether it may read one file and write another.
func report(read, write string) string {
	var b strings.Builder
	groups, _ := os.Getgroups()
	dir, _ := os.Getwd()
	umask := syscall.Umask(0)
	syscall.Umask(umask)
	nice, _ := syscall.Getpriority(syscall.PRIO_PROCESS, 0) // 20 - nice
	privs, _ := unix.PrctlRetInt(unix.PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0)
	fmt.Fprintf(&b, "uid=%d gid=%d groups=%v dir=%s umask=%o nice=%d no_new_privs=%d home=%s ", os.Getuid(), os.Getgid(), groups, dir, umask, 20-nice, privs, os.Getenv("HOME"))
	for _, r := range []struct {
		name     string
		resource int
	}{{"address_space", unix.RLIMIT_AS}, {"file_bytes", unix.RLIMIT_FSIZE}, {"open_files", unix.RLIMIT_NOFILE}, {"processes", unix.RLIMIT_NPROC}, {"core", unix.RLIMIT_CORE}} {
		var l unix.Rlimit
		unix.Getrlimit(r.resource, &l)
		fmt.Fprintf(&b, "%s=%d ", r.name, l.Max)
	}
	cgroup, _ := os.ReadFile("/proc/self/cgroup")
	_, group, _ := strings.Cut(string(cgroup), "0::")
	group, _, _ = strings.Cut(group, "\n")
	_, err := os.ReadFile(read)
	_, isNoFile := os.Stat(read)
	fmt.Fprintf(&b, "cgroup=%s read=%v exists=%v ", group, err == nil, isNoFile == nil)
	fmt.Fprintf(&b, "write=%v end", os.WriteFile(write, nil, 0o666) == nil)
	return b.String()
}

// jail makes a directory that the test's own program can have as its root directory.
func jail(t *testing.T) (dir, program string) {
	t.Helper()
	dir = openDir(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{self: "/program"}
	out, _ := exec.Command("ldd", self).Output() // fails if it needs none
	for _, word := range strings.Fields(string(out)) {
		if filepath.IsAbs(word) {
			files[word] = word
		}
	}
	for from, to := range files {
		if err := os.MkdirAll(filepath.Join(dir, filepath.Dir(to)), 0o755); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command("cp", "-L", from, filepath.Join(dir, to)).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	return dir, filepath.Join(dir, "program")
}

// openDir makes a directory that every user can reach.
func openDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for d := dir; d != filepath.Clean(os.TempDir()) && d != "/"; d = filepath.Dir(d) {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestConfinement: the processes are confined and limited as CGI programs are.
func TestConfinement(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Fatal("programs can run as other users only when the tests run as root: sudo go test, or make test in a container")
	}
	dir := openDir(t)
	self := filepath.Join(dir, "program")
	executable, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("cp", executable, self).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	secret, open := filepath.Join(dir, "secret"), filepath.Join(dir, "open")
	if err := os.WriteFile(secret, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(open, 0o755); err != nil {
		t.Fatal(err)
	}
	os.Chmod(open, 0o777)
	root, inside := jail(t)
	group := testkit.Cgroup(t)
	nobody := process.RunAs{User: "nobody"}
	libraries := []string{"/lib", "/usr/lib"}
	if _, err := os.Stat("/lib64"); err == nil {
		libraries = append(libraries, "/lib64")
	}
	for _, tt := range []struct {
		key string
		set func(a *App)
		say []string
	}{
		{"none of them", func(a *App) {}, []string{"uid=0 gid=0", "dir=/ ", " no_new_privs=0", "read=true exists=true write=true"}},
		{"user", func(a *App) { a.RunAs = nobody }, []string{"uid=65534 gid=65534 groups=[65534] ", "home=/nonexistent "}},
		{"group", func(a *App) { a.RunAs = process.RunAs{User: "nobody", Group: "daemon"} }, []string{"uid=65534 gid=1 groups=[1 "}},
		{"directory", func(a *App) { a.Dir = open }, []string{"dir=" + open + " "}},
		{"chroot", func(a *App) {
			a.RunAs, a.Confinement.Chroot, a.Command = nobody, root, []string{inside}
		}, []string{"uid=65534", "dir=/ ", "read=false exists=false write=false"}},
		{"umask", func(a *App) { a.Confinement.Umask = 0o027 }, []string{"umask=27 "}},
		{"nice", func(a *App) { a.Confinement.Nice = 7 }, []string{"nice=7 "}},
		{"no_new_privs", func(a *App) { a.Confinement.NoNewPrivs = true }, []string{"no_new_privs=1 "}},
		{"no_core", func(a *App) { a.Confinement.NoCore = true }, []string{"core=0 "}},
		{"read_paths", func(a *App) { a.Confinement.Read = libraries }, []string{"read=false exists=true write=false "}},
		{"write_paths", func(a *App) { a.Confinement.Read, a.Confinement.Write = libraries, []string{open} }, []string{"read=false exists=true write=true "}},
		{"address_space", func(a *App) { a.Limits.AddressSpace = 8 << 30 }, []string{"address_space=8589934592 "}},
		{"file_bytes", func(a *App) { a.Limits.FileBytes = 4096 }, []string{"file_bytes=4096 "}},
		{"open_files", func(a *App) { a.Limits.OpenFiles = 40 }, []string{"open_files=40 "}},
		{"processes", func(a *App) { a.Limits.Processes = 1000 }, []string{"processes=1000 "}},
		{"cgroup", func(a *App) { a.Cgroup = process.Cgroup{Dir: group} }, []string{filepath.Base(group) + "/gatehouse.", ".1 read"}},
		{"cgroup_each", func(a *App) { a.Cgroup = process.Cgroup{Dir: group, EachProgram: true} }, []string{".1/1 read"}},
	} {
		t.Run(tt.key, func(t *testing.T) {
			a, _ := newApp(t, Limits{Programs: 1, QueueWait: -1}, "fastcgi")
			a.Command = []string{self}
			tt.set(a)
			_, _, got := result(t, serve(a, "", "DO=report", "READ="+secret, "WRITE="+filepath.Join(open, "file")))
			for _, want := range tt.say {
				if !strings.Contains(got, want) {
					t.Errorf("no %q in %q", want, got)
				}
			}
			a.Close()
		})
	}
}

// TestConfinementRefused: what cannot be had is told when the application is prepared.
func TestConfinementRefused(t *testing.T) {
	for _, tt := range []struct {
		key string
		set func(a *App)
		say string
	}{
		{"user", func(a *App) { a.RunAs.User = "no-such-user" }, "user"},
		{"group", func(a *App) { a.RunAs.Group = "daemon" }, "group: without user: write user, too"},
		{"chroot", func(a *App) { a.Confinement.Chroot = "/srv" }, "chroot: root can leave it at will: write user, too"},
		{"chroot", func(a *App) { a.RunAs.User, a.Confinement.Chroot = "nobody", t.TempDir() }, "cannot be reached from there"},
		{"read_paths", func(a *App) { a.Confinement.Read = []string{"/no/such/path"} }, "/no/such/path"},
		{"cgroup", func(a *App) { a.Cgroup.Dir = "/tmp" }, "cgroup: /tmp is not in a control group file system of version 2"},
		{"cgroup_memory", func(a *App) { a.Cgroup.Memory = 1 << 20 }, "cgroup_memory, cgroup_processes, cgroup_cpu: without cgroup"},
		{"directory", func(a *App) { a.Dir = "tmp" }, `directory: "tmp" is not an absolute path`},
	} {
		a, _ := newApp(t, Limits{}, "fastcgi")
		tt.set(a)
		if err := a.Prepare(); err == nil || !strings.Contains(err.Error(), tt.say) {
			t.Errorf("%s: %v, want %q", tt.key, err, tt.say)
		}
	}
}
