package deploy_test

import (
	"bytes"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// pushSize is how large the commit that the tests push is, in bytes.
const pushSize = 30 << 20

// project is a git repository in two states: what the server has, and one
// commit more, which is to be pushed.
type project struct {
	bare     string // what the server has: a bare repository
	work     string // a clone of bare with the commit that is to be pushed
	old, new string // the commits
}

// newProject makes a project in a temporary directory. Its files hold every
// kind of byte and do not compress.
func newProject(t *testing.T) *project {
	t.Helper()
	return newProjectOf(t, pushSize)
}

// newProjectOf makes a project whose second commit has so many bytes.
func newProjectOf(t *testing.T, pushed int) *project {
	t.Helper()
	t.Helper()
	dir := t.TempDir()
	p := &project{bare: filepath.Join(dir, "bare"), work: filepath.Join(dir, "work")}
	random := rand.NewChaCha8([32]byte([]byte("gatehouse deploy tests, git push")))
	write := func(name string, size int) {
		content := make([]byte, size)
		random.Read(content)
		path := filepath.Join(p.work, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, content, 0o644); err != nil {
			t.Fatal(err)
		}
	}

	git(t, "", "init", "--quiet", "--initial-branch=main", p.work)
	git(t, p.work, "config", "core.compression", "0")
	write("random.bin", 3<<20)
	write("a directory/ü.bin", 4097)
	write("empty", 0)
	for name, text := range map[string]string{
		"greeting.txt": "greetings-from-the-repository\n",
		"hello.c":      "int main(void) { return 0; }\n",
		"README.md":    "An *emphatic* text.\n",
	} {
		if err := os.WriteFile(filepath.Join(p.work, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	git(t, p.work, "add", ".")
	git(t, p.work, "commit", "--quiet", "-m", "The first commit", "-m", "It follows 0123456789abcdef.")
	p.old = git(t, p.work, "rev-parse", "HEAD")

	git(t, "", "clone", "--quiet", "--bare", p.work, p.bare)
	for _, setting := range [][2]string{
		{"http.receivepack", "true"},
		{"receive.unpackLimit", "1"}, // keep what is pushed as one pack
		{"receive.fsckObjects", "true"},
		{"receive.autogc", "false"},
		{"gc.auto", "0"},
	} {
		git(t, p.bare, "config", setting[0], setting[1])
	}

	write("pushed.bin", pushed)
	git(t, p.work, "add", ".")
	git(t, p.work, "commit", "--quiet", "-m", "The pushed commit")
	p.new = git(t, p.work, "rev-parse", "HEAD")
	return p
}

// publish copies the bare repository to /srv/git/project.git, where it belongs
// to the user that the gateway runs as, and returns that path.
func (p *project) publish(t *testing.T) string {
	t.Helper()
	const path = "/srv/git/project.git"
	if err := os.RemoveAll(path); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(path, os.DirFS(p.bare)); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(path, "description"), []byte("A project to test with\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	owner := webUser(t)
	err := filepath.WalkDir(path, func(name string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Chown(name, int(owner.Uid), int(owner.Gid))
	})
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// git runs git in dir, which has to succeed, and returns what it printed
// without the final line end.
func git(t *testing.T, dir string, args ...string) string {
	t.Helper()
	out, err := gitCommand(t, dir, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("git %q: %v\n%s", args, err, out)
	}
	return strings.TrimSuffix(string(out), "\n")
}

// gitCommand returns a git command whose configuration is that of nobody.
func gitCommand(t *testing.T, dir string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command("/usr/bin/git", append([]string{
		"-c", "safe.directory=*",
		"-c", "gc.auto=0",
		"-c", "user.name=Nobody",
		"-c", "user.email=nobody@example.org",
	}, args...)...)
	cmd.Dir = dir
	cmd.Env = []string{
		"PATH=/usr/bin:/bin",
		"HOME=/nonexistent",
		"GIT_CONFIG_NOSYSTEM=1",
		"GIT_TERMINAL_PROMPT=0",
		"LC_ALL=C.UTF-8",
	}
	return cmd
}

// wantSameFiles compares two work trees, byte for byte.
func wantSameFiles(t *testing.T, got, want string) {
	t.Helper()
	gotFiles, wantFiles := tree(t, got), tree(t, want)
	for name, content := range wantFiles {
		if other, ok := gotFiles[name]; !ok {
			t.Errorf("%s is missing", name)
		} else if !bytes.Equal(other, content) {
			t.Errorf("%s differs: %d bytes; want %d", name, len(other), len(content))
		}
	}
	for name := range gotFiles {
		if _, ok := wantFiles[name]; !ok {
			t.Errorf("%s is one file too many", name)
		}
	}
}

// tree returns the files of a work tree by name, without git's own.
func tree(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	files := make(map[string][]byte)
	err := fs.WalkDir(os.DirFS(dir), ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		switch {
		case name == ".git" && entry.IsDir():
			return fs.SkipDir
		case name == ".git" || entry.IsDir():
			return nil
		}
		files[name], err = os.ReadFile(filepath.Join(dir, name))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		t.Fatalf("%s is empty", dir)
	}
	return files
}
