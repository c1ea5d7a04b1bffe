package script

import (
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"gatehouse/cgi"
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
	for line := range strings.SplitSeq(s.body.String(), "\n") {
		if rest, ok := strings.CutPrefix(line, name+": "); ok {
			return strings.TrimSpace(rest)
		}
	}
	return ""
}

// An account is a user of the system.
type account struct {
	name, group string
	uid, gid    int
}

func lookupAccount(t *testing.T, name string) account {
	t.Helper()
	u, err := user.Lookup(name)
	if err != nil {
		t.Fatal(err)
	}
	g, err := user.LookupGroupId(u.Gid)
	if err != nil {
		t.Fatal(err)
	}
	uid, _ := strconv.Atoi(u.Uid)
	gid, _ := strconv.Atoi(u.Gid)
	return account{name, g.Name, uid, gid}
}

func TestRunAsUser(t *testing.T) {
	needRoot(t)
	nobody, daemon := lookupAccount(t, "nobody"), lookupAccount(t, "daemon")
	four := func(n int) string { return strings.TrimSpace(strings.Repeat(strconv.Itoa(n)+" ", 4)) }
	for _, c := range []struct {
		run      RunAs
		uid, gid int
	}{
		{RunAs{User: "nobody"}, nobody.uid, nobody.gid},
		{RunAs{User: strconv.Itoa(nobody.uid)}, nobody.uid, nobody.gid},
		{RunAs{User: "nobody", Group: "daemon"}, nobody.uid, daemon.gid},
		{RunAs{User: "54321", Group: "54322"}, 54321, 54322},
	} {
		f := newFixture(t)
		f.open(t)
		f.RunAs = c.run
		f.sh(t, "report", identity)
		s, res := f.serve(request("/report"))
		if res.Err != nil {
			t.Fatalf("%+v: %v", c.run, res.Err)
		}
		if uid, gid := field(s, "Uid"), field(s, "Gid"); uid != four(c.uid) || gid != four(c.gid) {
			t.Errorf("%+v: uid %q, gid %q", c.run, uid, gid)
		}
		groups := strings.Fields(field(s, "Groups"))
		if !slices.Contains(groups, strconv.Itoa(c.gid)) || slices.Contains(groups, "0") {
			t.Errorf("%+v: groups %q", c.run, groups)
		}
		f.Close()
	}
}

// TestRunAsGroups: each user of this system gets the groups that id(1) tells.
func TestRunAsGroups(t *testing.T) {
	text, err := os.ReadFile("/etc/passwd")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		name, _, _ := strings.Cut(line, ":")
		out, err := exec.Command("id", "-G", name).Output()
		if err != nil {
			t.Fatalf("id %s: %v", name, err)
		}
		var want []uint32
		for _, g := range strings.Fields(string(out)) {
			want = append(want, number(g))
		}
		cred, err := lookupUser(name, "")
		if slices.Contains(want, 0) {
			continue // root, and who has its group
		}
		if err != nil {
			t.Error(err)
			continue
		}
		slices.Sort(want)
		slices.Sort(cred.Groups)
		if !slices.Equal(want, cred.Groups) {
			t.Errorf("%s: groups %v; want %v", name, cred.Groups, want)
		}
	}
}

// TestRunAsOpensItsStreams: what a program has as stdin, stdout and stderr it can open
// again by name.
func TestRunAsOpensItsStreams(t *testing.T) {
	needRoot(t)
	f := newFixture(t)
	f.open(t)
	f.RunAs.User = "nobody"
	f.Limits.Spool.Memory = 1
	f.sh(t, "streams", head+"cat /dev/stdin >/dev/stdout\necho complaint >/dev/stderr")
	for _, length := range []int64{5, -1} {
		s, res := f.serve(withBody(request("/streams"), length, strings.NewReader("hello")))
		checkOK(t, s, res, "hello")
	}
	s, res := f.serve(request("/streams"))
	checkOK(t, s, res, "")
	f.Close()
	if log := f.log.String(); strings.Count(log, "line=complaint") != 3 {
		t.Errorf("log %q", log)
	}
	if fi, err := os.Stat(os.DevNull); err != nil || fi.Mode().Perm() != 0o666 {
		t.Errorf("%v, %v", fi, err)
	}
}

// TestOwner has the rules of suexec, one by one.
func TestOwner(t *testing.T) {
	needRoot(t)
	nobody, daemon := lookupAccount(t, "nobody"), lookupAccount(t, "daemon")
	const stranger = 54321
	for _, c := range []struct {
		name                       string
		fileUID, fileGID, uid, gid int // of the program, and of its directory
		fileMode, mode             os.FileMode
		check                      func(*fixture)
		code                       int
		text                       string
		as                         int
	}{
		{name: "as suexec wants it", fileUID: nobody.uid, fileGID: nobody.gid, uid: nobody.uid, gid: nobody.gid, code: 200, as: nobody.uid},
		{name: "root's", uid: nobody.uid, gid: nobody.gid, code: 403, text: "owned by root"},
		{name: "a system user's", fileUID: daemon.uid, fileGID: daemon.gid, uid: daemon.uid, gid: daemon.gid, code: 403, text: "below 1000 (min_uid)"},
		{name: "a system user's, allowed", fileUID: daemon.uid, fileGID: daemon.gid, uid: daemon.uid, gid: daemon.gid,
			check: func(f *fixture) { f.RunAs.MinUID, f.RunAs.MinGID = 1, 1 }, code: 200, as: daemon.uid},
		{name: "a system group", fileUID: daemon.uid, fileGID: daemon.gid, uid: daemon.uid, gid: daemon.gid,
			check: func(f *fixture) { f.RunAs.MinUID = 1 }, code: 403, text: "below 100 (min_gid)"},
		{name: "no user's", fileUID: stranger, fileGID: stranger, uid: stranger, gid: stranger, code: 403, text: "number 54321, which is no user"},
		{name: "in a directory of another", fileUID: nobody.uid, fileGID: nobody.gid, uid: daemon.uid, gid: nobody.gid, code: 403, text: "which is owned by user daemon, not by user nobody"},
		{name: "in a directory of root", fileUID: nobody.uid, fileGID: nobody.gid, gid: nobody.gid, code: 403, text: "which is owned by user root"},
		{name: "of another group", fileUID: nobody.uid, fileGID: daemon.gid, uid: nobody.uid, gid: nobody.gid, code: 403, text: "belongs to group daemon, not to group " + nobody.group},
		{name: "in a directory of another group", fileUID: nobody.uid, fileGID: nobody.gid, uid: nobody.uid, gid: daemon.gid, code: 403, text: "which belongs to group daemon"},
		{name: "writable by its group", fileUID: nobody.uid, fileGID: nobody.gid, uid: nobody.uid, gid: nobody.gid, fileMode: 0o775, code: 403, text: "mode 0775 (run_as)"},
		{name: "writable by all", fileUID: nobody.uid, fileGID: nobody.gid, uid: nobody.uid, gid: nobody.gid, fileMode: 0o757, code: 403, text: "mode 0757 (run_as)"},
		{name: "in a directory writable by its group", fileUID: nobody.uid, fileGID: nobody.gid, uid: nobody.uid, gid: nobody.gid, mode: 0o775, code: 403, text: "which is writable by its group"},
		{name: "set-user-ID", fileUID: nobody.uid, fileGID: nobody.gid, uid: nobody.uid, gid: nobody.gid, fileMode: 0o755 | os.ModeSetuid, code: 403, text: "mode 4755 (run_as)"},
		{name: "set-group-ID", fileUID: nobody.uid, fileGID: nobody.gid, uid: nobody.uid, gid: nobody.gid, fileMode: 0o755 | os.ModeSetgid, code: 403, text: "mode 2755 (run_as)"},

		{name: "check_owner: root's", check: checkOwner, code: 200},
		{name: "check_owner: its own user's", fileUID: nobody.uid, uid: nobody.uid, check: func(f *fixture) { checkOwner(f); f.RunAs = RunAs{User: "nobody"} }, code: 200, as: nobody.uid},
		{name: "check_owner: another's", fileUID: nobody.uid, check: checkOwner, code: 403, text: "is owned by user nobody, not by root or user root (check_owner)"},
		{name: "check_owner: in another's directory", uid: nobody.uid, check: checkOwner, code: 403, text: "which is owned by user nobody"},
		{name: "check_owner alone minds no mode", fileMode: 0o777, check: checkOwner, code: 200},
		{name: "check_mode", fileUID: nobody.uid, uid: daemon.uid, check: checkModes, code: 200},
		{name: "check_mode: writable", fileMode: 0o775, check: checkModes, code: 403, text: "mode 0775 (check_mode)"},
		{name: "check_mode: in a writable directory", mode: 0o757, check: checkModes, code: 403, text: "mode 0757 (check_mode)"},
		{name: "check_mode: set-user-ID", fileMode: 0o755 | os.ModeSetuid, check: checkModes, code: 403, text: "mode 4755 (check_mode)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFixture(t)
			f.open(t)
			if f.RunAs.Owner = true; c.check != nil {
				c.check(f)
			}
			path := f.sh(t, "home/report", identity)
			dir := filepath.Dir(path)
			for _, x := range []struct {
				path     string
				uid, gid int
				mode     os.FileMode
			}{{path, c.fileUID, c.fileGID, c.fileMode}, {dir, c.uid, c.gid, c.mode}} {
				if err := os.Chown(x.path, x.uid, x.gid); err != nil {
					t.Fatal(err)
				}
				if x.mode != 0 {
					if err := os.Chmod(x.path, x.mode); err != nil {
						t.Fatal(err)
					}
				}
			}
			s, res := f.serve(request("/home/report"))
			if c.code != 200 {
				checkRefused(t, res, c.code, path, c.text)
				return
			}
			if want := strconv.Itoa(c.as); res.Err != nil || !strings.HasPrefix(field(s, "Uid"), want+" ") || !strings.Contains(s.body.String(), dir+"\n") {
				t.Errorf("%v, %q; want user %s in %s", res.Err, s.body.String(), want, dir)
			}
		})
	}
}

func checkOwner(f *fixture) { f.RunAs, f.Confinement.CheckOwner = RunAs{}, true }
func checkModes(f *fixture) { f.RunAs, f.Confinement.CheckMode = RunAs{}, true }

// TestPinned: what was checked is what runs, even if its directory is another one by
// then.
func TestPinned(t *testing.T) {
	f := newFixture(t)
	f.Confinement.CheckMode = true
	f.sh(t, "a/x", head+"echo checked")
	f.sh(t, "b/x", head+"echo other")
	c, err := f.confine()
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	cmd := &command{path: f.dir + "/a/x", argv0: f.dir + "/a/x", dir: f.dir + "/a", env: []string{"PATH=/bin:/usr/bin"}}
	if err := c.prepare(cmd); err != nil {
		t.Fatal(err)
	}
	defer cmd.confined.close()
	for _, move := range [][2]string{{"a", "c"}, {"b", "a"}} {
		if err := os.Rename(filepath.Join(f.dir, move[0]), filepath.Join(f.dir, move[1])); err != nil {
			t.Fatal(err)
		}
	}
	p, err := start(cmd)
	if err != nil {
		t.Fatal(err)
	}
	var b [4096]byte
	var text []byte
	for {
		n, err := p.stdout.read(b[:])
		text = append(text, b[:n]...)
		if err != nil {
			break
		}
	}
	p.watch()
	p.closePipes()
	if !strings.HasSuffix(string(text), "\n\nchecked\n") {
		t.Errorf("ran %q", text)
	}
	// A symlink out of the roots is none in, whatever the lookup has said.
	if err := os.Symlink("/bin", filepath.Join(f.dir, "out")); err != nil {
		t.Fatal(err)
	}
	if _, err := c.pin(f.dir + "/out/sh"); err != errOutside {
		t.Errorf("%v; want %v", err, errOutside)
	}
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
		for range 3 * max(1, f.Limits.withDefaults().Programs) {
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

func TestResources(t *testing.T) {
	f := newFixture(t)
	f.Limits.AddressSpace = 300 << 20
	f.Limits.OpenFiles = 40
	f.Limits.FileBytes = 4096
	f.Limits.Processes = 1000
	f.Confinement.NoCore = true
	f.Confinement.Nice = 7
	f.sh(t, "limits", head+"cat /proc/self/limits\nnice")
	s, res := f.serve(request("/limits"))
	if res.Err != nil {
		t.Fatal(res.Err)
	}
	lines := strings.Split(strings.TrimSpace(s.body.String()), "\n")
	if last := lines[len(lines)-1]; last != "7" {
		t.Errorf("nice %s; want 7", last)
	}
	for _, want := range []string{"Max address space 314572800 314572800", "Max open files 40 40", "Max file size 4096 4096",
		"Max processes 1000 1000", "Max core file size 0 0"} {
		if !slices.ContainsFunc(lines, func(l string) bool { return strings.HasPrefix(strings.Join(strings.Fields(l), " "), want) }) {
			t.Errorf("no %q in\n%s", want, s.body.String())
		}
	}
	// What they are for.
	for name, text := range map[string]string{
		"file":    "head -c 8192 /dev/zero >big 2>/dev/null; wc -c <big",
		"open":    "for i in 1 2 3 4; do eval \"exec $((i+5))<&1\"; done; (ulimit -n 100) 2>/dev/null && echo raised; echo 4096",
		"address": "python3 -c 'x = bytearray(1 << 30)' 2>/dev/null && echo much; echo 4096",
	} {
		f.sh(t, name, head+text)
		s, res := f.serve(request("/" + name))
		if os.Geteuid() == 0 && name == "open" {
			continue // root may raise its limits
		}
		checkOK(t, s, res, "4096\n")
	}
}

// TestResourcesOfAnotherUser runs in a user namespace, where root can limit what others
// run, also if it cannot outside.
func TestResourcesOfAnotherUser(t *testing.T) {
	needRoot(t)
	const inside = "SCRIPT_TEST_USERNS"
	if os.Getenv(inside) == "" {
		cmd := exec.Command("/proc/self/exe", "-test.run=^TestResourcesOfAnotherUser$", "-test.count=1", "-test.timeout=60s", "-test.v")
		cmd.Env = append(os.Environ(), inside+"=1")
		ids := []syscall.SysProcIDMap{{ContainerID: 0, HostID: 0, Size: 65536}}
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUSER, UidMappings: ids, GidMappings: ids, GidMappingsEnableSetgroups: true}
		if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "--- PASS: TestResourcesOfAnotherUser") {
			t.Fatalf("in a user namespace: %v\n%s", err, out)
		}
		return
	}
	for _, owner := range []bool{false, true} {
		f := newFixture(t)
		f.open(t)
		account := lookupAccount(t, "nobody")
		f.RunAs.User = "nobody"
		f.Limits.OpenFiles, f.Limits.Processes = 50, 500
		f.Confinement.Nice = 3
		path := f.sh(t, "home/limits", head+"cat /proc/self/limits\nid -u\nnice")
		if owner {
			f.RunAs = RunAs{Owner: true}
			for _, x := range []string{path, filepath.Dir(path)} {
				if err := os.Chown(x, account.uid, account.gid); err != nil {
					t.Fatal(err)
				}
			}
		}
		s, res := f.serve(request("/home/limits"))
		text := strings.Join(strings.Fields(s.body.String()), " ")
		for _, want := range []string{"Max open files 50 50", "Max processes 500 500", strconv.Itoa(account.uid) + " 3"} {
			if res.Err != nil || !strings.Contains(text, want) {
				t.Errorf("owner %v: %v, no %q in\n%s", owner, res.Err, want, text)
			}
		}
		f.Close()
	}
}

// TestStartsThatFail: the answers are those of programs that are not confined, and
// nothing is left.
func TestStartsThatFail(t *testing.T) {
	f := newFixture(t)
	f.Limits.OpenFiles = 100
	f.Confinement.Umask, f.Confinement.CheckMode = 0o077, true
	f.write(t, "nointerpreter", "#!/nonexistent/perl -w\n", 0o755)
	f.write(t, "noshebang", "echo hello\n", 0o755)
	f.sh(t, "ok", head+"echo ok")
	f.serve(request("/ok")) // makes the threads
	before := descriptors(t)
	for range 20 {
		_, res := f.serve(request("/nointerpreter"))
		checkRefused(t, res, 502, `interpreter "/nonexistent/perl -w" does not exist`)
		_, res = f.serve(request("/noshebang"))
		checkRefused(t, res, 502, `no "#!" line`)
		_, res = f.serve(request("/ok", "HTTP_X_LONG="+strings.Repeat("x", 200<<10)))
		checkRefused(t, res, 431, "too long")
		s, res := f.serve(request("/ok"))
		checkOK(t, s, res, "ok\n")
	}
	f.Close()
	if after := descriptors(t); after > before {
		t.Errorf("%d descriptors before, %d after", before, after)
	}
}

// TestStoppedStart: a child that is stopped before its execve does not stop its thread
// for ever.
func TestStoppedStart(t *testing.T) {
	tid := make(chan int)
	stopped := make(chan int)
	go holdTraced(tid, stopped)
	id, pid := <-tid, <-stopped
	if pid == 0 {
		t.Fatal("no child")
	}
	killStopped(id)
	if code := <-stopped; code != 9 {
		t.Errorf("the child ended by signal %d; want KILL", code)
	}
}

func TestLandlock(t *testing.T) {
	f := newFixture(t)
	other := newFixture(t)
	if err := os.Mkdir(filepath.Join(f.dir, "data"), 0o755); err != nil {
		t.Fatal(err)
	}
	other.write(t, "secret", "secret", 0o644)
	f.Roots = []string{filepath.Join(f.dir, "cgi-bin")}
	f.Confinement.Read = []string{"/bin", "/usr", "/lib", "/etc", "/proc"}
	if _, err := os.Stat("/lib64"); err == nil {
		f.Confinement.Read = append(f.Confinement.Read, "/lib64")
	}
	f.Confinement.Write = []string{filepath.Join(f.dir, "data")}
	f.sh(t, "cgi-bin/x", head+`exec 2>/dev/null
try() { if eval "$2"; then echo "$1 yes"; else echo "$1 no"; fi; }
try read 'cat /etc/passwd >/dev/null'
try write 'echo x >../data/file && cat ../data/file >/dev/null && mv ../data/file ../data/file2 && rm ../data/file2'
try self 'cat "$SCRIPT_FILENAME" >/dev/null'
try change 'echo x >>"$SCRIPT_FILENAME"'
try create 'echo x >new'
try etc 'echo x >/etc/gatehouse-test'
try secret 'cat `+other.dir+`/secret'
try list 'ls /var >/dev/null'
try run '`+other.dir+`/program'
grep NoNewPrivs /proc/self/status | tr '\t' ' '
`)
	other.sh(t, "program", "exit 0")
	s, res := f.serve(request("/x"))
	checkOK(t, s, res, "read yes\nwrite yes\nself yes\nchange no\ncreate no\netc no\nsecret no\nlist no\nrun no\nNoNewPrivs: 1\n")
	f.Close()
	// This process is not confined.
	if _, err := os.ReadFile(filepath.Join(other.dir, "secret")); err != nil {
		t.Error(err)
	}
}

func TestLandlockOfTheInterpreter(t *testing.T) {
	f := newFixture(t)
	f.Confinement.Read = []string{"/etc"}
	f.sh(t, "x", head)
	_, res := f.serve(request("/x"))
	checkRefused(t, res, 403, "read_paths must have its interpreter")
}

func TestCPULimit(t *testing.T) {
	for name, script := range map[string]string{
		"itself":     "while :; do :; done",
		"a child":    "(while :; do :; done) & wait",
		"many":       "while :; do (i=0; while [ $i -lt 1000 ]; do i=$((i+1)); done); done",
		"left group": "setsid sh -c 'while :; do :; done' & wait",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			f.Limits.CPU = 100 * time.Millisecond
			f.sh(t, "busy", "echo $$ >pgid\n"+script)
			_, res := f.serve(request("/busy"))
			checkRefused(t, res, 504, f.dir+"/busy", "cpu of 100ms is over")
			f.Close()
			checkNoGroup(t, filepath.Join(f.dir, "pgid"))
		})
	}
	f := newFixture(t)
	f.Limits.CPU = 100 * time.Millisecond
	f.sh(t, "busy", head+"echo part\nwhile :; do :; done")
	if _, res := f.serve(request("/busy")); res.Code != 200 || res.End != cgi.Truncated || !strings.Contains(fmt.Sprint(res.Err), "cpu of 100ms") {
		t.Errorf("%d, %v, %v; want a truncation", res.Code, res.End, res.Err)
	}
	f.sh(t, "idle", head+"sleep 0.3\necho rested")
	s, res := f.serve(request("/idle"))
	checkOK(t, s, res, "rested\n")
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
		{"unknown user", &App{RunAs: RunAs{User: "nobody-has-this"}}, `user: there is no user "nobody-has-this": create it, or write another one`, false},
		{"unknown group", &App{RunAs: RunAs{User: "nobody", Group: "nobody-has-this"}}, `group: there is no group "nobody-has-this": create it, or write another one`, false},
		{"unknown number", &App{RunAs: RunAs{User: "54321"}}, `user: there is no user 54321: a number without a user needs a group: write group, too`, false},
		{"group alone", &App{RunAs: RunAs{Group: "daemon"}}, `group: without user: write user, too`, false},
		{"root", &App{RunAs: RunAs{User: "root", Group: "daemon"}}, `user: programs do not run as root: write another user, or remove user and start gatehouse as root with all that this means`, false},
		{"root's group", &App{RunAs: RunAs{User: "nobody", Group: "root"}}, `group: user nobody would have root's group: write another group`, false},
		{"owner and user", &App{RunAs: RunAs{User: "nobody", Owner: true}}, `run_as: "owner" is in place of user and group: remove them, or it`, false},
		{"nice", &App{Confinement: Confinement{Nice: 20}}, `nice: 20 is not from -20 to 19`, false},
		{"umask", &App{Confinement: Confinement{Umask: 0o1000}}, `umask: 01000 is more than 0777`, false},
		{"chroot without user", &App{Confinement: Confinement{Chroot: dir}}, `chroot: root can leave it at will: write user, too, or run_as = "owner"`, true},
		{"missing chroot", &App{RunAs: RunAs{User: "nobody"}, Confinement: Confinement{Chroot: dir + "/a"}}, "chroot: lstat " + dir + "/a: no such file or directory", true},
		{"roots outside the chroot", &App{Roots: []string{"/bin"}, RunAs: RunAs{User: "nobody"}, Confinement: Confinement{Chroot: dir}}, " does not lie in " + dir + ", and cannot be reached from there", true},
		{"Landlock of nothing", &App{Confinement: Confinement{Read: []string{dir + "/a"}}}, "read_paths: " + dir + "/a: no such file or directory", false},
		{"relative Landlock", &App{Confinement: Confinement{Write: []string{"a"}}}, "write_paths: a: is not an absolute path", false},
		{"cgroup", &App{Cgroup: Cgroup{Dir: dir}}, "cgroup: " + dir + " is not in a control group file system of version 2: write a directory below where that is mounted", false},
		{"limits without cgroup", &App{Cgroup: Cgroup{Memory: 1}}, "cgroup_each, cgroup_memory, cgroup_processes, cgroup_cpu: without cgroup: write the directory of a delegated control group", false},
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
		for _, a := range []*App{{RunAs: RunAs{User: "nobody"}}, {RunAs: RunAs{Owner: true}}, {RunAs: RunAs{User: "nobody"}, Confinement: Confinement{Chroot: dir}}} {
			if err := a.Check(); err == nil || !strings.Contains(err.Error(), "only root") {
				t.Errorf("%+v: %v; want that only root can", a.RunAs, err)
			}
		}
	}
	var broken = App{Roots: []string{dir}, RunAs: RunAs{User: "nobody-has-this"}}
	defer broken.Close()
	if err := broken.ServeCGI(nil, request("/x")); err == nil || !strings.Contains(err.Error(), "nobody-has-this") {
		t.Errorf("a request: %v", err)
	}
}

// TestOwnersAreBounded: as many as there are files' owners, and no more than a bound.
func TestOwnersAreBounded(t *testing.T) {
	o := &owners{known: make(map[uint32]*owner)}
	now := time.Now()
	for i := range uint32(3 * maxOwners) {
		o.lookup(1<<20+i, now)
	}
	if len(o.known) > maxOwners {
		t.Errorf("%d are known", len(o.known))
	}
	nobody := uint32(lookupAccount(t, "nobody").uid)
	a, err := o.lookup(nobody, now)
	if err != nil {
		t.Fatal(err)
	}
	if b, _ := o.lookup(nobody, now.Add(ownerTime-1)); a != b {
		t.Error("looked up again within the time")
	}
	if b, _ := o.lookup(nobody, now.Add(ownerTime)); a == b {
		t.Error("not looked up again")
	}
}
