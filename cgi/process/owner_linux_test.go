package process

import (
	"io"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

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
		cred, _, err := lookupUser(name, "")
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

// TestPinned: what was checked is what runs, even if its directory is another one by
// then.
func TestPinned(t *testing.T) {
	dir := t.TempDir()
	writeProgram(t, dir+"/a/x", "echo checked")
	writeProgram(t, dir+"/b/x", "echo other")
	l := newLauncher(t, Rules{Roots: []string{dir}, Confinement: Confinement{CheckMode: true}}, nil)
	s, err := l.prepare(&Command{Path: dir + "/a/x", Args: []string{"x"}, Dir: dir + "/a"})
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	for _, move := range [][2]string{{"a", "c"}, {"b", "a"}} {
		if err := os.Rename(filepath.Join(dir, move[0]), filepath.Join(dir, move[1])); err != nil {
			t.Fatal(err)
		}
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	s.attr.Files = []uintptr{w.Fd(), w.Fd(), w.Fd()}
	pid, err := l.spawner.do(s, l.fork)
	w.Close()
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(r)
	var ws syscall.WaitStatus
	wait4(pid, &ws)
	if string(text) != "checked\n" || err != nil {
		t.Errorf("ran %q, %v", text, err)
	}
	// A symlink out of the roots is none in, whatever the lookup has said.
	if err := os.Symlink("/bin", filepath.Join(dir, "out")); err != nil {
		t.Fatal(err)
	}
	if _, err := l.pin(dir + "/out/sh"); err != ErrOutside {
		t.Errorf("%v; want %v", err, ErrOutside)
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
	u, err := user.Lookup("nobody")
	if err != nil {
		t.Fatal(err)
	}
	nobody := number(u.Uid)
	a := o.lookup(nobody, now)
	if a.err != nil || a.home != u.HomeDir {
		t.Fatalf("home %q, %v; want %q", a.home, a.err, u.HomeDir)
	}
	if b := o.lookup(nobody, now.Add(ownerTime-1)); a != b {
		t.Error("looked up again within the time")
	}
	if b := o.lookup(nobody, now.Add(ownerTime)); a == b {
		t.Error("not looked up again")
	}
}
