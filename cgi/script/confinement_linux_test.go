package script

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"gatehouse/cgi/process"
)

// needRoot fails a test that changes users when it cannot.
func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatal("programs can run as other users only when the tests run as root: sudo go test, or make test in a container")
	}
}

// open lets every user reach the directory of the scripts, which is that of a test
// and 0700 above.
func (f *fixture) open(t *testing.T) {
	t.Helper()
	for d := f.dir; d != filepath.Clean(os.TempDir()) && d != "/"; d = filepath.Dir(d) {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
}

// identity prints what a process is.
const identity = head + `exec 2>&1
grep -E '^(Uid|Gid|Groups|Umask|NoNewPrivs):' /proc/self/status | tr '\t' ' '
pwd
nice
`

// field returns the line of a report that begins with name, without it.
func field(s *recorder, name string) string {
	for line := range strings.SplitSeq(s.Body.String(), "\n") {
		if rest, ok := strings.CutPrefix(line, name+": "); ok {
			return strings.TrimSpace(rest)
		}
	}
	return ""
}

func TestChroot(t *testing.T) {
	needRoot(t)
	for _, checked := range []bool{false, true} {
		f := newFixture(t)
		f.open(t)
		bin := filepath.Join(f.dir, "jail", "bin")
		f.Roots = []string{filepath.Join(f.dir, "jail", "cgi-bin")}
		f.RunAs.User = "nobody"
		f.Confinement.Chroot = filepath.Join(f.dir, "jail")
		f.Confinement.CheckMode = checked
		static(t, bin, "tell", tellC)
		f.write(t, "jail/cgi-bin/x", "#!/bin/tell\n", 0o755)
		f.write(t, "jail/cgi-bin/broken", "#!/bin/sh\n", 0o755)
		f.write(t, "jail/file", "", 0o644)
		s, res := f.serve(request("/x"))
		want := "/bin/tell /cgi-bin/x|/cgi-bin/x|/cgi-bin|file\n"
		if checked {
			want = "/bin/tell ./x|/cgi-bin/x|/cgi-bin|file\n"
		}
		checkOK(t, s, res, want)
		_, res = f.serve(request("/broken"))
		checkRefused(t, res, 502, f.dir+"/jail/cgi-bin/broken", "interpreter", "(chroot)")
		f.Close()
	}
}

// tellC is a program that tells its arguments, SCRIPT_FILENAME, its directory, and
// whether there is /file and no /etc.
const tellC = `#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
int main(int argc, char **argv) {
	char dir[4096];
	printf("Content-Type: text/plain\n\n%s %s|%s|%s|%s\n", argv[0], argc > 1 ? argv[1] : "", getenv("SCRIPT_FILENAME"),
		getcwd(dir, sizeof dir), !access("/file", F_OK) && access("/etc", F_OK) ? "file" : "");
	return 0;
}
`

// static compiles a C program without libraries.
func static(t testing.TB, dir, name, text string) string {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path+".c", []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("gcc", "-O2", "-static", "-o", path, path+".c").CombinedOutput(); err != nil {
		t.Fatalf("gcc: %v\n%s", err, out)
	}
	return path
}

// TestThreadAttributes: umask and no_new_privs are those of the programs, and not of this
// process.
func TestThreadAttributes(t *testing.T) {
	const plain = -1
	own := ownStatus(t)
	for _, c := range []struct {
		umask int
		nnp   bool
		want  string
	}{
		{0, false, own["Umask"] + " " + own["NoNewPrivs"]},
		{0o027, false, "0027 " + own["NoNewPrivs"]},
		{plain, false, "0000 " + own["NoNewPrivs"]},
		{0, true, own["Umask"] + " 1"},
		{0o777, true, "0777 1"},
	} {
		f := newFixture(t)
		f.Confinement.Umask, f.Confinement.NoNewPrivs = c.umask, c.nnp
		f.sh(t, "report", identity)
		for range 3 * f.Limits.admission().WithDefaults().Programs {
			s, res := f.serve(request("/report"))
			if got := field(s, "Umask") + " " + field(s, "NoNewPrivs"); res.Err != nil || got != c.want {
				t.Fatalf("umask %#o, no_new_privs %v: %q, %v; want %q", c.umask, c.nnp, got, res.Err, c.want)
			}
		}
		f.Close()
		if now := ownStatus(t); now["Umask"] != own["Umask"] || now["NoNewPrivs"] != own["NoNewPrivs"] {
			t.Errorf("this process: %v; before %v", now, own)
		}
	}
}

func ownStatus(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	m := make(map[string]string)
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(line, ":")
		m[name] = strings.TrimSpace(value)
	}
	return m
}

// TestNoNewPrivs: a set-user-ID program gains nothing.
func TestNoNewPrivs(t *testing.T) {
	needRoot(t)
	for _, on := range []bool{false, true} {
		f := newFixture(t)
		f.open(t)
		f.RunAs.User = "nobody"
		f.Confinement.NoNewPrivs = on
		euid := static(t, f.dir, "euid", "#include <stdio.h>\n#include <unistd.h>\nint main(void) { printf(\"%d\", geteuid()); return 0; }\n")
		if err := os.Chmod(euid, 0o755|os.ModeSetuid); err != nil {
			t.Fatal(err)
		}
		f.sh(t, "x", head+"./euid")
		s, res := f.serve(request("/x"))
		want := "0"
		if on {
			want = strconv.Itoa(lookupAccount(t, "nobody").uid)
		}
		checkOK(t, s, res, want)
		f.Close()
	}
}

// TestCheckOptions: what cannot work is told beforehand, with its key.
func TestCheckOptions(t *testing.T) {
	dir := t.TempDir()
	root := os.Geteuid() == 0
	for _, c := range []struct {
		name string
		app  *App
		want string
		root bool // only root gets that far
	}{
		{"nothing", &App{}, "", false},
		{"CPU time alone", &App{Limits: Limits{CPU: time.Second}}, "", false},
		{"all off", &App{Limits: Limits{AddressSpace: -1, OpenFiles: -1, FileBytes: -1, Processes: -1, CPU: -1}}, "", false},
		{"unknown user", &App{RunAs: process.RunAs{User: "nobody-has-this"}}, `user: there is no user "nobody-has-this": create it, or write another one`, false},
		{"unknown group", &App{RunAs: process.RunAs{User: "nobody", Group: "nobody-has-this"}}, `group: there is no group "nobody-has-this": create it, or write another one`, false},
		{"unknown number", &App{RunAs: process.RunAs{User: "54321"}}, `user: there is no user 54321: a number without a user needs a group: write group, too`, false},
		{"group alone", &App{RunAs: process.RunAs{Group: "daemon"}}, `group: without user: write user, too`, false},
		{"root", &App{RunAs: process.RunAs{User: "root", Group: "daemon"}}, `user: programs do not run as root: write another user, or remove user and start gatehouse as root with all that this means`, false},
		{"root's group", &App{RunAs: process.RunAs{User: "nobody", Group: "root"}}, `group: user nobody would have root's group: write another group`, false},
		{"owner and user", &App{RunAs: process.RunAs{User: "nobody", Owner: true}}, `run_as: "owner" is in place of user and group: remove them, or it`, false},
		{"nice", &App{Confinement: process.Confinement{Nice: 20}}, `nice: 20 is not from -20 to 19`, false},
		{"umask", &App{Confinement: process.Confinement{Umask: 0o1000}}, `umask: 01000 is more than 0777`, false},
		{"chroot without user", &App{Confinement: process.Confinement{Chroot: dir}}, `chroot: root can leave it at will: write user, too, or run_as = "owner"`, true},
		{"missing chroot", &App{RunAs: process.RunAs{User: "nobody"}, Confinement: process.Confinement{Chroot: dir + "/a"}}, "chroot: lstat " + dir + "/a: no such file or directory", true},
		{"roots outside the chroot", &App{Roots: []string{"/bin"}, RunAs: process.RunAs{User: "nobody"}, Confinement: process.Confinement{Chroot: dir}}, " does not lie in " + dir + ", and cannot be reached from there", true},
		{"Landlock of nothing", &App{Confinement: process.Confinement{Read: []string{dir + "/a"}}}, "read_paths: " + dir + "/a: no such file or directory", false},
		{"relative Landlock", &App{Confinement: process.Confinement{Write: []string{"a"}}}, "write_paths: a: is not an absolute path", false},
		{"cgroup", &App{Cgroup: process.Cgroup{Dir: dir}}, "cgroup: " + dir + " is not in a control group file system of version 2: write a directory below where that is mounted", false},
		{"limits without cgroup", &App{Cgroup: process.Cgroup{Memory: 1}}, "cgroup_each, cgroup_memory, cgroup_processes, cgroup_cpu: without cgroup: write the directory of a delegated control group", false},
	} {
		err := c.app.Check()
		if c.root && !root {
			continue
		}
		if got := fmt.Sprint(err); c.want == "" && err != nil || c.want != "" && !strings.HasSuffix(got, c.want) {
			t.Errorf("%s: %v; want %q", c.name, err, c.want)
		}
	}
	if !root {
		for _, a := range []*App{{RunAs: process.RunAs{User: "nobody"}}, {RunAs: process.RunAs{Owner: true}}, {RunAs: process.RunAs{User: "nobody"}, Confinement: process.Confinement{Chroot: dir}}} {
			if err := a.Check(); err == nil || !strings.Contains(err.Error(), "only root") {
				t.Errorf("%+v: %v; want that only root can", a.RunAs, err)
			}
		}
	}
	var broken = App{Roots: []string{dir}, RunAs: process.RunAs{User: "nobody-has-this"}}
	defer broken.Close()
	if err := broken.ServeCGI(nil, request("/x")); err == nil || !strings.Contains(err.Error(), "nobody-has-this") {
		t.Errorf("a request: %v", err)
	}
}
