//go:build linux

package script

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"gatehouse/cgi"
)

// A faultReport is what an ordinary user is told of a request, explained and served.
type faultReport struct {
	Check   Check
	Finding string // empty if nothing was found
	Remedy  string
	Code    int
	Served  string // the error of the request when it was served
	Status  int
}

// reportFault is this test binary as the program of findAs: without the rights of
// root it explains and serves one request.
func reportFault() int {
	const nobody = 65534
	if os.Geteuid() == 0 {
		if err := errors.Join(syscall.Setgroups(nil), syscall.Setgid(nobody), syscall.Setuid(nobody)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	a := &App{Roots: []string{os.Args[1]}, Log: slog.New(slog.DiscardHandler)}
	defer a.Close()
	e, err := a.Explain(request(os.Args[2]))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	var r faultReport
	if f := e.Finding; f != nil {
		r = faultReport{Check: f.Check, Finding: f.Error(), Remedy: f.Remedy, Code: f.Code}
	}
	h := cgi.Handler{Log: slog.New(slog.DiscardHandler)}
	res := h.Run(request(os.Args[2]), new(recorder), a)
	r.Status = res.Code
	if res.Err != nil {
		r.Served = res.Err.Error()
	}
	json.NewEncoder(os.Stdout).Encode(r)
	return 0
}

// findAs explains and serves the request for path as an ordinary user.
func findAs(t *testing.T, root, path string) (r faultReport) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, root, path)
	cmd.Env = append(os.Environ(), "SCRIPT_TEST_ROLE=fault", "GORACE=atexit_sleep_ms=0", "PATH=/usr/bin:/bin")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err == nil {
		err = json.Unmarshal(out, &r)
	}
	if err != nil {
		t.Fatal(err, string(out))
	}
	return r
}

// TestFindings: of each fault the explanation and the error of the request are one
// text, which names the file, what is wrong, and how to mend it; and where that is a
// command, it mends it.
func TestFindings(t *testing.T) {
	f := newFixture(t)
	if err := os.Chmod(filepath.Dir(f.dir), 0o755); err != nil {
		t.Fatal(err)
	}
	outside := newFixture(t)
	if err := os.Chmod(filepath.Dir(outside.dir), 0o755); err != nil {
		t.Fatal(err)
	}
	outside.sh(t, "o.cgi", head)
	const sh = "#!/bin/sh\n" + head
	// Whoever is not root tests with files of his own, of which he lacks the first bits.
	denied, deniedDir := os.FileMode(0o744), os.FileMode(0o700)
	words := strings.NewReplacer("USER", "user nobody", "OWNER", "root:root", "DIRMODE", "0700", "MODE", "0744", "o+x", "o+x")
	if os.Geteuid() != 0 {
		denied, deniedDir = 0o655, 0o600
		owner := userName(os.Geteuid()) + ":" + groupName(os.Getegid())
		words = strings.NewReplacer("USER", thisUser(), "OWNER", owner, "DIRMODE", "0600", "MODE", "0655", "o+x", "u+x")
	}
	program := func(name, text string, mode os.FileMode) func(string) {
		return func(dir string) { f.write(t, filepath.Join(filepath.Base(dir), name), text, mode) }
	}
	link := func(name, to string) func(string) {
		return func(dir string) {
			if err := os.Symlink(to, filepath.Join(dir, name)); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, c := range []struct {
		name string
		make func(dir string)
		path string // below the directory of the case
		code int
		want string // of the message; DIR is the directory of the case
		mend bool   // the remedy is a command
	}{
		{"missing", func(string) {}, "/x.cgi", 404, "DIR/x.cgi: no such file", false},
		{"missing", func(dir string) { os.Mkdir(dir+"/a", 0o755) }, "/a/b/c/x.cgi", 404, "DIR/a/b: no such file", false},
		{"missing", link("x.cgi", "/nowhere/x"), "/x.cgi", 404, "DIR/x.cgi: no such file: it is a link to /nowhere/x, which does not exist", false},
		{"directory", func(dir string) { os.Mkdir(dir+"/sub", 0o755) }, "/sub", 403, "DIR/sub: is a directory, not a program: the URL must go on", false},
		{"irregular", func(dir string) { syscall.Mkfifo(dir+"/fifo", 0o777) }, "/fifo", 403, "DIR/fifo: is not a regular file", false},
		{"mode", program("x.cgi", sh, 0o644), "/x.cgi", 403, "DIR/x.cgi: is not executable (no x bit): chmod +x DIR/x.cgi", true},
		{"execute", program("x.cgi", sh, denied), "/x.cgi", 403, "DIR/x.cgi: USER may not execute it (mode MODE, owner OWNER): chmod o+x DIR/x.cgi", true},
		{"search", func(dir string) {
			f.write(t, filepath.Join(filepath.Base(dir), "sub/x.cgi"), sh, 0o755)
			os.Chmod(dir+"/sub", deniedDir)
		}, "/sub/x.cgi", 403, "DIR/sub/x.cgi: USER may not search the directory DIR/sub (mode DIRMODE, owner OWNER): chmod o+x DIR/sub", true},
		{"outside", link("o.cgi", outside.dir+"/o.cgi"), "/o.cgi", 403,
			`DIR/o.cgi: lies outside the roots and the follow directories: it leads to ` + outside.dir + `/o.cgi; to let that run, write follow = ["` + outside.dir + `/o.cgi"]`, false},
		{"loop", link("loop", "loop"), "/loop", 403, "DIR/loop: its symlinks lead in a circle", false},
		{"dotdot", func(string) {}, "/../x", 403, `has a ".." segment`, false},
		{"line_end", program("x.cgi", "#!/bin/sh\r\necho\r\n", 0o755), "/x.cgi", 502, `DIR/x.cgi: its first line ends in CR LF: remove the CR (sed -i 's/\r$//' DIR/x.cgi)`, true},
		{"interpreter", program("x.cgi", "#!/nonexistent/perl -w\n", 0o755), "/x.cgi", 502, `DIR/x.cgi: its interpreter "/nonexistent/perl -w" does not exist: install it, or correct the first line`, false},
		{"interpreter", program("x.cgi", "#!\n", 0o755), "/x.cgi", 502, `DIR/x.cgi: its "#!" line names no interpreter`, false},
		{"interpreter", program("x.cgi", "#!/etc\n", 0o755), "/x.cgi", 403, `DIR/x.cgi: its interpreter "/etc" is a directory`, false},
		{"interpreter", func(dir string) {
			program("perl", sh, denied)(dir)
			program("x.cgi", "#!"+dir+"/perl\n", 0o755)(dir)
		}, "/x.cgi", 403, "DIR/x.cgi: its interpreter DIR/perl: USER may not execute it (mode MODE, owner OWNER): chmod o+x DIR/perl", true},
		{"byte_order", program("x.cgi", "\xef\xbb\xbf"+sh, 0o755), "/x.cgi", 502, "DIR/x.cgi: it begins with a byte order mark: remove it (sed", true},
		{"format", program("x.cgi", "echo hello\n", 0o755), "/x.cgi", 502, `DIR/x.cgi: it is no binary for this machine, and has no "#!" line: begin it with`, false},
		{"format", program("x.cgi", "\xa7\r\r\n\x00\x00\x00\x00 code", 0o755), "/x.cgi", 502, `DIR/x.cgi: it is compiled Python, which the system cannot run: install the .py file in its place, with #!/usr/bin/python3 as its first line`, false},
		{"format", program("x.cgi", "", 0o755), "/x.cgi", 502, `DIR/x.cgi: it is empty`, false},
		{"format", program("x.cgi", "\x7fELF\x02\x01\x01", 0o755), "/x.cgi", 502, `DIR/x.cgi: it is a broken binary`, false},
		{"loader", func(dir string) {
			program("x.cgi", string(elfWithLoader("/nonexistent/ld.so\x00")), 0o755)(dir)
		}, "/x.cgi", 502, `DIR/x.cgi: its dynamic loader /nonexistent/ld.so does not exist: it is built for another system`, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir, err := os.MkdirTemp(f.dir, "case")
			if err == nil {
				err = os.Chmod(dir, 0o755)
			}
			if err != nil {
				t.Fatal(err)
			}
			c.make(dir)
			path := "/" + filepath.Base(dir) + c.path
			got := findAs(t, f.dir, path)
			if got.Check != Check(c.name) || got.Code != c.code {
				t.Fatalf("check %q, code %d; want %q, %d (%s)", got.Check, got.Code, c.name, c.code, got.Finding)
			}
			want := strings.ReplaceAll(words.Replace(c.want), "DIR", dir)
			if !strings.Contains(got.Finding, want) {
				t.Errorf("found %q;\n want %q", got.Finding, want)
			}
			if strings.Contains(got.Finding, "\n") {
				t.Errorf("more than one line: %q", got.Finding)
			}
			if _, served, _ := strings.Cut(got.Served, ": "); served != got.Finding || got.Status != c.code {
				t.Errorf("served with %d, %q;\n explained %q", got.Status, got.Served, got.Finding)
			}
			if !c.mend {
				return
			}
			command := got.Remedy
			if _, in, ok := strings.Cut(command, "("); ok {
				command = strings.TrimSuffix(in, ")")
			}
			if out, err := exec.Command("sh", "-c", command).CombinedOutput(); err != nil {
				t.Fatalf("%s: %v, %s", command, err, out)
			}
			if got := findAs(t, f.dir, path); got.Finding != "" {
				t.Errorf("after %q: %s", command, got.Finding)
			}
		})
	}
}

// elfWithLoader returns an ELF file for this machine that is nothing but the name of
// its loader.
func elfWithLoader(loader string) []byte {
	self, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		panic(err)
	}
	b := make([]byte, 64+56)
	copy(b, self[:64])            // class, byte order and machine
	copy(b[16:], []byte{2, 0})    // ET_EXEC
	copy(b[24:], make([]byte, 8)) // e_entry
	copy(b[32:], u64(64))         // e_phoff
	copy(b[40:], u64(0))          // e_shoff
	copy(b[54:], []byte{56, 0})   // e_phentsize
	copy(b[56:], []byte{1, 0})    // e_phnum
	copy(b[58:], make([]byte, 6)) // no sections
	ph := b[64:]
	copy(ph, []byte{3, 0, 0, 0, 4}) // PT_INTERP, readable
	copy(ph[8:], u64(64+56))
	copy(ph[32:], u64(uint64(len(loader))))
	copy(ph[40:], u64(uint64(len(loader))))
	return append(b, loader...)
}

func u64(n uint64) []byte {
	b := make([]byte, 8)
	for i := range b {
		b[i] = byte(n >> (8 * i))
	}
	return b
}

// TestCommandOfEnv: the system starts "env", whatever it looks up.
func TestCommandOfEnv(t *testing.T) {
	f := newFixture(t)
	f.Env = []string{"PATH=/usr/bin:/bin"}
	f.write(t, "a.cgi", "#!/usr/bin/env no-such-interpreter\n", 0o755)
	f.write(t, "b.cgi", "#!/usr/bin/env sh\n", 0o755)
	f.write(t, "c.cgi", "#!/usr/bin/env -S no-such-interpreter\n", 0o755)
	for path, want := range map[string]string{
		"/a.cgi": f.dir + `/a.cgi: its interpreter "no-such-interpreter" is not in PATH, which is "/usr/bin:/bin"`,
		"/b.cgi": "", "/c.cgi": "",
	} {
		e, err := f.Explain(request(path))
		if err != nil {
			t.Fatal(err)
		}
		if e.Finding == nil && want != "" || e.Finding != nil && (want == "" || !strings.Contains(e.Finding.Error(), want)) {
			t.Errorf("%s: %v; want %q", path, e.Finding, want)
		}
	}
}

// TestNoexec compares with what the table of mounts says of the usual ones.
func TestNoexec(t *testing.T) {
	table, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		t.Fatal(err)
	}
	options := make(map[string]string) // the last mount at a place hides those before
	for line := range strings.Lines(string(table)) {
		f := strings.Fields(line)
		options[f[1]] = "," + f[3] + ","
	}
	for _, at := range []string{"/", "/proc", "/sys", "/dev", "/dev/shm"} {
		o, mounted := options[at]
		if !mounted {
			continue
		}
		if got := isNoexec(at); got != strings.Contains(o, ",noexec,") {
			t.Errorf("%s: noexec %v; the options are %s", at, got, o)
		}
		if got := mountPoint(filepath.Join(at, "no-such-file")); got != at {
			t.Errorf("a file in %s is mounted at %s", at, got)
		}
	}
}

// TestStartFinding: what the system says when it does not start a program.
func TestStartFinding(t *testing.T) {
	for err, want := range map[error]struct {
		check Check
		code  int
	}{
		syscall.E2BIG:   {CheckSize, 431},
		syscall.ETXTBSY: {CheckBusy, 503},
		syscall.EAGAIN:  {CheckResources, 503},
		syscall.EMFILE:  {CheckResources, 503},
		syscall.ENFILE:  {CheckResources, 503},
		syscall.ENOMEM:  {CheckResources, 503},
		syscall.EACCES:  {CheckSecurity, 403},
		syscall.ENOEXEC: {CheckFormat, 502},
		syscall.EIO:     {CheckStart, 502},
	} {
		f := systemFinding("/bin/sh", "/", err)
		if f.Check != want.check || f.Code != want.code || !errors.Is(f, err) {
			t.Errorf("%v: %s, %d", err, f.Check, f.Code)
		}
		var se *cgi.StatusError
		if !errors.As(f.status(), &se) || se.Code != want.code || (se.RetryAfter > 0) != (want.code == 503) {
			t.Errorf("%v: %v", err, se)
		}
	}
	f := systemFinding("/bin/sh", "/nonexistent/dir", syscall.ENOENT)
	if want := "/nonexistent/dir: the directory that the program starts in does not exist: create it"; f.Error() != want {
		t.Errorf("%q; want %q", f, want)
	}
}

// TestWhyMissing: the first directory that is not there.
func TestWhyMissing(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(dir+"/file", nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		dir + "/x":                    "",
		dir + "/a/x":                  dir + " has no directory a",
		dir + "/a/b/x":                dir + " has no directory a",
		dir + "/file/x":               dir + "/file is a file: what follows it belongs into PATH_INFO (fastcgi_split_path_info)",
		"/nonexistent/x":              "/ has no directory nonexistent",
		"/x-nonexistent":              "",
		strings.Repeat("/x", maxPath): "the path is too long to be that of a file",
	} {
		if detail, remedy := whyMissing(path); detail != "no such file" || remedy != want {
			t.Errorf("%.100s: %q, %q; want %q", path, detail, remedy, want)
		}
	}
}

// TestAccess: whose bits of a mode count.
func TestAccess(t *testing.T) {
	name := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(name, nil, 0o640); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(name)
	if err != nil {
		t.Fatal(err)
	}
	st := info.Sys().(*syscall.Stat_t)
	group := st.Gid
	for _, c := range []struct {
		uid, gid uint32
		want     string
	}{
		{uint32(os.Geteuid()), group, "u"}, {uint32(os.Geteuid()), 54321, "u"},
		{54321, uint32(os.Getegid()), "g"}, {54321, 54321, "o"},
	} {
		st.Uid, st.Gid = c.uid, c.gid
		if got, _ := access(info); got.name != c.want {
			t.Errorf("owner %d:%d: %s; want %s", c.uid, c.gid, got.name, c.want)
		}
	}
	if _, owner := access(info); owner != "54321:54321" {
		t.Errorf("the owner is %s", owner)
	}
}
