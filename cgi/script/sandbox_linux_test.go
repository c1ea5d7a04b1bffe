package script

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gatehouse/cgi/process"
	"gatehouse/internal/testkit"
	"gatehouse/systemd/sandbox"
)

// sandboxed returns the sandbox of a unit x.service that hides a directory, and that filters
// system calls.
func sandboxed(t *testing.T, hidden, noexec string) *sandbox.Sandbox {
	t.Helper()
	return sandbox.Parse(`1 0 0:1 / / rw - ext4 /dev/vda rw
2 1 0:2 /systemd/inaccessible/dir `+hidden+` ro - tmpfs tmpfs rw
3 1 0:1 `+noexec+` `+noexec+` rw,noexec - ext4 /dev/vda rw
`, "Name:\tx\nNoNewPrivs:\t1\nSeccomp:\t2\n", "0::/system.slice/x.service\n")
}

// TestSandbox: what the unit hides is a finding that names the setting, for requests and
// Explain alike; the log has it beside what a program says and how it ends.
func TestSandbox(t *testing.T) {
	f := newFixture(t)
	hidden, noexec := filepath.Join(f.dir, "hidden"), filepath.Join(f.dir, "noexec")
	const why = "InaccessiblePaths= of x.service hides "
	f.Sandbox = sandboxed(t, hidden, noexec)
	f.write(t, "interpreter.cgi", "#!"+hidden+"/sh\n", 0o755)
	f.write(t, "missing.cgi", "#!"+f.dir+"/nothing\n", 0o755)
	f.sh(t, "says.cgi", head+"echo ran; echo 'cat: "+hidden+"/data: Permission denied' >&2")
	f.sh(t, "killed.cgi", "kill -SYS $$")
	for _, c := range []struct {
		path string
		code int
		want string
	}{
		{"/hidden/x.cgi", 404, hidden + ": " + why + hidden + ": take it out of that list (systemctl edit x.service, and restart it)"},
		{"/interpreter.cgi", 502, "interpreter.cgi: it needs " + hidden + "/sh: " + why + hidden},
		{"/killed.cgi", 502, "ended by signal: bad system call: SystemCallFilter= or, for a 32-bit program, SystemCallArchitectures= of x.service"},
		// These are not the unit's.
		{"/nothing.cgi", 404, "nothing.cgi: no such file"},
		{"/missing.cgi", 502, "does not exist: install it"},
	} {
		_, res := f.serve(request(c.path))
		checkRefused(t, res, c.code, c.want)
		if c.path == "/killed.cgi" {
			continue
		}
		e, err := f.Explain(request(c.path))
		if err != nil || e.Finding == nil || !strings.Contains(e.Finding.Error(), c.want) {
			t.Errorf("%s: explained as %v, %+v; want %q", c.path, err, e, c.want)
		}
	}
	s, res := f.serve(request("/says.cgi"))
	checkOK(t, s, res, "ran\n")
	testkit.Until(t, "the log names the setting", func() bool { return strings.Contains(f.log.String(), why) })
}

// TestSandboxOfAnother: Explain tells what a process in another sandbox would not see, though
// this one does, and that a set-user-ID program would gain nothing.
func TestSandboxOfAnother(t *testing.T) {
	f := newFixture(t)
	hidden, noexec := filepath.Join(f.dir, "hidden"), filepath.Join(f.dir, "noexec")
	f.Sandbox = sandboxed(t, hidden, noexec)
	f.sh(t, "hidden/x.cgi", head)
	f.sh(t, "noexec/x.cgi", head)
	f.sh(t, "x.cgi", head)
	f.write(t, "interpreter.cgi", "#!"+hidden+"/x.cgi\n", 0o755)
	if err := os.Symlink("hidden/x.cgi", filepath.Join(f.dir, "link.cgi")); err != nil {
		t.Fatal(err)
	}
	self, err := os.ReadFile("/bin/true")
	if err != nil {
		t.Fatal(err)
	}
	suid := f.write(t, "suid.cgi", string(self), 0o755)
	if err := os.Chmod(suid, 0o755|os.ModeSetuid); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		"/hidden/x.cgi":    "InaccessiblePaths= of x.service",
		"/link.cgi":        "InaccessiblePaths= of x.service",
		"/interpreter.cgi": "it needs " + hidden + "/x.cgi: InaccessiblePaths= of x.service",
		"/noexec/x.cgi":    "NoExecPaths=" + noexec + " of x.service",
		"/x.cgi":           "",
		"/suid.cgi":        "",
	} {
		e, err := f.Explain(request(path))
		switch {
		case err != nil:
			t.Errorf("%s: %v", path, err)
		case want == "":
			if e.Finding != nil {
				t.Errorf("%s: %v; nothing hides it", path, e.Finding)
			}
		case e.Finding == nil || e.Finding.Check != CheckSandbox || !strings.Contains(e.Finding.Error(), want):
			t.Errorf("%s: %v; want %q", path, e.Finding, want)
		}
		if noted := len(e.Notes) == 1 && strings.Contains(e.Notes[0], "NoNewPrivileges=yes of x.service"); noted != (path == "/suid.cgi") {
			t.Errorf("%s: notes %q", path, e.Notes)
		}
	}
	// What does not end well by itself is told only of a failure.
	u := &run{app: f.App, target: &target{path: suid}}
	if got := u.ending(process.Status{Code: 1}); !strings.Contains(got, "NoNewPrivileges=yes of x.service") {
		t.Errorf("a set-user-ID program that fails: %s", got)
	}
}
