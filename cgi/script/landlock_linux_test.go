package script

import (
	"os"
	"path/filepath"
	"testing"
)

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
