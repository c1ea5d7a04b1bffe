package script

import (
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"gatehouse/cgi/process"
)

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

// lookupHome returns the home directory of a user, which is not the root.
func lookupHome(t *testing.T, name string) string {
	t.Helper()
	u, err := user.Lookup(name)
	if err != nil || u.HomeDir == "" || u.HomeDir == "/" {
		t.Fatalf("the home of %s: %+v, %v", name, u, err)
	}
	return u.HomeDir
}

func TestRunAsUser(t *testing.T) {
	needRoot(t)
	nobody, daemon := lookupAccount(t, "nobody"), lookupAccount(t, "daemon")
	four := func(n int) string { return strings.TrimSpace(strings.Repeat(strconv.Itoa(n)+" ", 4)) }
	for _, c := range []struct {
		run      process.RunAs
		uid, gid int
	}{
		{process.RunAs{User: "nobody"}, nobody.uid, nobody.gid},
		{process.RunAs{User: strconv.Itoa(nobody.uid)}, nobody.uid, nobody.gid},
		{process.RunAs{User: "nobody", Group: "daemon"}, nobody.uid, daemon.gid},
		{process.RunAs{User: "54321", Group: "54322"}, 54321, 54322},
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
		{name: "check_owner: its own user's", fileUID: nobody.uid, uid: nobody.uid, check: func(f *fixture) { checkOwner(f); f.RunAs = process.RunAs{User: "nobody"} }, code: 200, as: nobody.uid},
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
			if want := strconv.Itoa(c.as); res.Err != nil || !strings.HasPrefix(field(s, "Uid"), want+" ") || !strings.Contains(s.Body.String(), dir+"\n") {
				t.Errorf("%v, %q; want user %s in %s", res.Err, s.Body.String(), want, dir)
			}
		})
	}
}

func checkOwner(f *fixture) { f.RunAs, f.Confinement.CheckOwner = process.RunAs{}, true }

func checkModes(f *fixture) { f.RunAs, f.Confinement.CheckMode = process.RunAs{}, true }
