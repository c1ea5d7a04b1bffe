package sources

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// write writes a file, and the directories that it needs.
func write(t testing.TB, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestChanged(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, filepath.FromSlash(name)) }
	for _, name := range []string{
		"app.py", "shop/views.py", "shop/deep/er/models.py", "old.py", "same.py", "notes.txt",
		".git/hook.py", ".venv/lib/x.py", "shop/__pycache__/views.py", "node_modules/gyp/gyp.py", "env/pyvenv.cfg", "env/lib/x.py", "site-packages/x.py",
	} {
		write(t, at(name), name)
	}
	tree := Look(".py", dir)
	if len(tree.files) != 5 {
		t.Errorf("the sources are %v", tree.files)
	}
	later := time.Now().Add(time.Hour)
	steps := []struct {
		name string
		do   func() error
		want []string
	}{
		{"nothing", func() error { return nil }, nil},
		{"written", func() error { return os.WriteFile(at("app.py"), []byte("longer than it was"), 0o644) }, []string{"app.py"}},
		{"the same size, later", func() error { return os.Chtimes(at("shop/views.py"), later, later) }, []string{"shop/views.py"}},
		{"replaced, of the same size and time", func() error {
			write(t, at("new.txt"), "SAME.py")
			info, err := os.Stat(at("same.py"))
			if err != nil {
				return err
			}
			if err := os.Chtimes(at("new.txt"), info.ModTime(), info.ModTime()); err != nil {
				return err
			}
			return os.Rename(at("new.txt"), at("same.py"))
		}, []string{"same.py"}},
		{"removed, and one created in a new directory", func() error {
			write(t, at("blog/views.py"), "")
			return os.Remove(at("old.py"))
		}, []string{"blog/views.py", "old.py"}},
		{"a directory that moves", func() error { return os.Rename(at("shop/deep"), at("shop/deeper")) },
			[]string{"shop/deep/er/models.py", "shop/deeper/er/models.py"}},
		{"what has no sources", func() error {
			write(t, at(".venv/lib/y.py"), "")
			write(t, at("env/lib/y.py"), "")
			write(t, at("shop/__pycache__/y.py"), "")
			write(t, at("notes.txt"), "more")
			return nil
		}, nil},
		{"the whole directory", func() error { return os.Rename(dir, dir+".gone") },
			[]string{"app.py", "blog/views.py", "same.py", "shop/deeper/er/models.py", "shop/views.py"}},
		{"and back", func() error { return os.Rename(dir+".gone", dir) },
			[]string{"app.py", "blog/views.py", "same.py", "shop/deeper/er/models.py", "shop/views.py"}},
	}
	for _, step := range steps {
		if err := step.do(); err != nil {
			t.Fatal(err)
		}
		var want []string
		for _, name := range step.want {
			want = append(want, at(name))
		}
		if got := tree.Changed(); !slices.Equal(got, want) {
			t.Errorf("%s: changed %q; want %q", step.name, got, want)
		}
	}
}

// TestLinks: the directory may be a link that is changed to lead elsewhere, as deployments do,
// and so may a file; a link to a directory above is no endless tree.
func TestLinks(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	write(t, at("one/app.py"), "1")
	write(t, at("two/app.py"), "2")
	write(t, at("shared.py"), "3")
	current := at("current")
	for from, to := range map[string]string{current: "one", at("one/shared.py"): "../shared.py", at("one/up"): ".."} {
		if err := os.Symlink(to, from); err != nil {
			if runtime.GOOS == "windows" {
				t.Skip(err) // it wants a privilege
			}
			t.Fatal(err)
		}
	}
	tree := Look(".py", current)
	write(t, at("shared.py"), "changed")
	if got, want := tree.Changed(), []string{filepath.Join(current, "shared.py")}; !slices.Equal(got, want) {
		t.Errorf("behind a link: changed %q; want %q", got, want)
	}
	if err := os.Remove(current); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("two", current); err != nil {
		t.Fatal(err)
	}
	if got, want := tree.Changed(), []string{filepath.Join(current, "app.py"), filepath.Join(current, "shared.py")}; !slices.Equal(got, want) {
		t.Errorf("the link itself: changed %q; want %q", got, want)
	}
}

// TestBound: of too many files the first are looked at, and the tree says so.
func TestBound(t *testing.T) {
	dir := t.TempDir()
	for i := range 5 {
		write(t, filepath.Join(dir, fmt.Sprintf("%d.py", i)), "")
	}
	if tree := look(5, ".py", []string{dir}); tree.Truncated() || len(tree.files) != 5 {
		t.Errorf("%d files, truncated %v", len(tree.files), tree.Truncated())
	}
	tree := look(4, ".py", []string{dir})
	if !tree.Truncated() || len(tree.files) != 4 {
		t.Errorf("%d files, truncated %v", len(tree.files), tree.Truncated())
	}
	write(t, filepath.Join(dir, "0.py"), "changed")
	if got := tree.Changed(); len(got) != 1 {
		t.Errorf("changed %q", got)
	}
	for i := range 4 * othersPerFile {
		write(t, filepath.Join(dir, "0", fmt.Sprintf("%d.txt", i)), "")
	}
	if tree := look(4, ".py", []string{dir}); !tree.Truncated() || len(tree.files) > 4 {
		t.Errorf("among others, %d files, truncated %v", len(tree.files), tree.Truncated())
	}
}

// TestSettled: files that are written one after the other are one change, and what is written
// without end does not put it off for ever.
func TestSettled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		at := func(n int) string { return filepath.Join(dir, fmt.Sprintf("%d.py", n)) }
		tree := Look(".py", dir)
		begin := time.Now()
		settled := func(ctx context.Context) ([]string, time.Duration) {
			begin = time.Now()
			return tree.Settled(ctx, time.Second, 10*time.Second), time.Since(begin)
		}
		if got, took := settled(t.Context()); got != nil || took != 0 {
			t.Errorf("without a change: %q after %v", got, took)
		}
		write(t, at(0), "")
		go func() {
			for n := range 3 {
				time.Sleep(900 * time.Millisecond)
				write(t, at(n+1), "")
			}
		}()
		if got, took := settled(t.Context()); !slices.Equal(got, []string{at(0), at(1), at(2), at(3)}) || took != 4*time.Second {
			t.Errorf("changed %q after %v", got, took)
		}
		stop := make(chan struct{})
		go func() {
			for n := 4; ; n++ {
				write(t, at(n), "")
				select {
				case <-stop:
					return
				case <-time.After(900 * time.Millisecond):
				}
			}
		}()
		synctest.Wait()
		if got, took := settled(t.Context()); len(got) < 10 || took != 10*time.Second {
			t.Errorf("without end: changed %q after %v", got, took)
		}
		close(stop)
		synctest.Wait()
		tree.Changed()
		write(t, at(0), "changed")
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if got, took := settled(ctx); got != nil || took != 0 {
			t.Errorf("at the end: %q after %v", got, took)
		}
	})
}
