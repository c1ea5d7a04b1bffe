package script

import (
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"gatehouse/cgi"
	"gatehouse/cgi/cgitest"
)

// A maze is two roots, a directory that their symlinks may lead to, and one that they may
// not. Symlinks lead to all of them, to /proc, and in circles.
type maze struct {
	dir     string
	inside  []fs.FileInfo // the programs of the roots and the directory that may be followed
	outside []fs.FileInfo // the one of the directory that may not, which some Apps have for a root
	program string        // its name
}

func newMaze(f *testing.F) *maze {
	dir, err := filepath.EvalSymlinks(f.TempDir())
	if err != nil {
		f.Fatal(err)
	}
	m := &maze{dir: dir, program: filepath.Join(dir, "no", "o.cgi")}
	for name, mode := range map[string]fs.FileMode{
		"one/a.cgi": 0o755, "one/sub/b.cgi": 0o755, "one/plain.txt": 0o644,
		"two/a.cgi": 0o755, "two/c.cgi": 0o700, "yes/f.cgi": 0o755, "no/o.cgi": 0o755,
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			f.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("#!/bin/sh\n"), mode); err != nil {
			f.Fatal(err)
		}
		info, err := os.Stat(path)
		switch {
		case err != nil:
			f.Fatal(err)
		case path == m.program:
			m.outside = append(m.outside, info)
		case mode&0o111 != 0:
			m.inside = append(m.inside, info)
		}
	}
	for name, target := range map[string]string{
		"one/b": "sub/b.cgi", "one/d": "sub", "one/here": ".", "one/up": "..", "one/2": "../two", "two/1": dir + "/one",
		"one/f": "../yes/f.cgi", "one/yes": dir + "/yes", "yes/no": "../no", "yes/back": "../one",
		"one/o": "../no/o.cgi", "one/no": dir + "/no", "no/in": "../one", "in": "one", "one/n": "no/in/a.cgi",
		"one/p": "/proc/self/root", "one/q": "/proc/self/cwd", "one/exe": "/proc/self/exe", "one/fd": "/proc/self/fd", "one/r": "/",
		"one/x": "x", "one/y": "sub/z", "one/sub/z": "../y", "one/dead": "nothing",
	} {
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			f.Fatal(err)
		}
	}
	if err := syscall.Mkfifo(filepath.Join(dir, "one", "pipe"), 0o755); err != nil {
		f.Fatal(err)
	}
	return m
}

// apps returns the Apps that are tried, which find programs in the maze.
func (m *maze) apps(f *testing.F) []*App {
	roots := []string{filepath.Join(m.dir, "one"), filepath.Join(m.dir, "two")}
	apps := []*App{
		{Roots: roots, Follow: []string{filepath.Join(m.dir, "yes")}},
		{Roots: []string{m.program}},
		{Manner: Fcgiwrap},
		{Manner: Fcgiwrap, Roots: []string{filepath.Join(m.dir, "one", "a.cgi"), m.program}},
		{Manner: Slowcgi},
	}
	for _, a := range apps {
		f.Cleanup(func() { a.Close() })
	}
	return apps
}

// FuzzFind holds what each manner promises of the program that it finds, and of the path
// that this program sees. An "@" is the directory of the maze.
func FuzzFind(f *testing.F) {
	for which := range uint8(5) {
		for _, seed := range [][5]string{
			{"@/one/a.cgi", "/a.cgi", "/x", "/a.cgi/x", "@/one"},
			{"@/in/sub/../b/x/y", "/b/x/y", "/x/y", "/b/x/y?q", "@/in"},
			{"proxy:fcgi://h@/one/a.cgi", "/cgi-bin/a.cgi", "", "/cgi-bin/a.cgi", "@/one"},
			{"@/one/no/o.cgi", "/no/o.cgi", "", "/no/o.cgi", "@/one/"},
			{"", "/yes/f.cgi/x", "/x", "/yes/f.cgi/x", "@/one"},
			{"", "/p@/no/o.cgi", "", "", "@/one"},
			{"", "/p@/one/a.cgi/%2e%2e", "/..", "/p@/one/a.cgi/%2F..", "@/one"},
			{"", "/exe", "", "/exe", "@/one"},
			{"/bin/sh", "/bin/sh", "", "", "/"},
			{"@/one", "", "/2/1/2/c.cgi/z", "/2/1/2/c.cgi/z", "@"},
			{"", "/x", "/a", "/y/a", "@/one"},
			{"", "//./here/d/b.cgi//x", "//x", "/", "@/one/a.cgi"},
		} {
			f.Add(which, uint8(0), false, seed[0], seed[1], seed[2], seed[3], seed[4])
		}
		f.Add(which, uint8(0b10101), true, "", "/cgi-bin/d/b.cgi/x", "", "/cgi-bin/d/b.cgi/x", "")
	}
	quiet := slog.New(slog.DiscardHandler)
	m := newMaze(f)
	apps := m.apps(f)
	f.Fuzz(func(t *testing.T, which, unset uint8, mounted bool, file, script, info, uri, root string) {
		a := apps[int(which)%len(apps)]
		env := new(cgi.Environ)
		for i, v := range [][2]string{{"SCRIPT_FILENAME", file}, {"SCRIPT_NAME", script}, {"PATH_INFO", info}, {"REQUEST_URI", uri}, {"DOCUMENT_ROOT", root}} {
			if v[1] == "" && unset>>i&1 == 1 {
				continue // rather than sent empty
			}
			if env.Add(v[0], strings.ReplaceAll(v[1], "@", m.dir)) != nil {
				return // no front-end lets a NUL byte pass
			}
		}
		prefix := "/"
		if mounted {
			prefix = "/cgi-bin"
		}
		app := cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
			e, err := a.Explain(r)
			if err != nil {
				t.Fatal(err)
			}
			if e.Program != "" {
				m.check(t, a, r, e)
			} else if e.Finding == nil {
				t.Error("there is neither a program nor a reason")
			}
			return w.StartResponse("204 No Content", nil)
		})
		var mux cgi.Mux
		if err := mux.Mount(prefix, app); err != nil {
			t.Fatal(err)
		}
		h := &cgi.Handler{Log: quiet}
		h.Run(&cgi.Request{Env: env, Body: strings.NewReader("")}, new(cgitest.Recorder), &mux)
	})
}

// check checks the program that a has found.
func (m *maze) check(t *testing.T, a *App, r *cgi.Request, e *Explanation) {
	info, err := os.Stat(e.Program)
	if err != nil || !info.Mode().IsRegular() || info.Mode()&0o111 == 0 {
		t.Errorf("%q: %v, %v; want an executable regular file", e.Program, info, err)
		return
	}
	value := func(name string) string {
		for _, v := range e.Env {
			if v, ok := strings.CutPrefix(v, name+"="); ok {
				return v
			}
		}
		return ""
	}
	p := twoPaths{value("SCRIPT_NAME"), value("PATH_INFO")}
	var sent twoPaths
	sent.script, sent.info, _ = r.SentPath()
	if e.Env == nil { // the variables are too long, or no environment can hold them
		p = sent
	}
	name := r.Env.Get("SCRIPT_FILENAME")
	switch a.Manner {
	case Gatehouse:
		m.checkGatehouse(t, a, r, e, info, p, sent)
	case Fcgiwrap:
		first, named := r.Env.First("SCRIPT_FILENAME")
		if len(a.Roots) > 0 && !slices.Contains(a.Roots, e.Program) {
			t.Errorf("%q may not run", e.Program)
		}
		if named {
			if e.Program != first || p != sent {
				t.Errorf("%q with %+v; want what was sent: %q, %+v", e.Program, p, first, sent)
			}
			return
		}
		root := r.Env.Get("DOCUMENT_ROOT")
		if slices.Contains(strings.Split(sent.script, "/"), "..") {
			t.Errorf("%q: it has a .. segment", sent.script)
		}
		// The path is split behind the program, wherever that is.
		whole, inRoot := root+sent.script, len(e.Program) >= len(root)
		if e.Env != nil && (e.Program != whole || p.info != "") && e.Program+p.info != whole || inRoot && e.Env != nil && p.script+p.info != sent.script {
			t.Errorf("%q with %+v; want %q, split", e.Program, p, whole)
		}
	case Slowcgi:
		if name == "" {
			name = sent.script
		}
		if e.Program != name || p != sent {
			t.Errorf("%q with %+v; want what was sent: %q, %+v", e.Program, p, name, sent)
		}
	}
}

// twoPaths are SCRIPT_NAME and PATH_INFO, as a program sees them or as they were sent.
type twoPaths struct{ script, info string }

// checkGatehouse: the file is in a root or where symlinks may lead, by whatever way it was
// reached. SCRIPT_NAME and PATH_INFO are the whole path, or, if SCRIPT_FILENAME names the
// file, what was sent; where it goes on behind the file, that is in PATH_INFO, and not in
// SCRIPT_NAME.
func (m *maze) checkGatehouse(t *testing.T, a *App, r *cgi.Request, e *Explanation, info fs.FileInfo, p, sent twoPaths) {
	inside := m.inside
	if slices.Contains(a.Roots, m.program) {
		inside = m.outside
	}
	if !slices.ContainsFunc(inside, func(i fs.FileInfo) bool { return os.SameFile(i, info) }) {
		t.Errorf("%q is outside", e.Program)
	}
	if e.Env == nil {
		return
	}
	last := e.Steps[len(e.Steps)-1]
	if last.From != fromScriptFilename {
		if p.script+p.info != r.FullPath() {
			t.Errorf("%q with %+v; want the path %q", e.Program, p, r.FullPath())
		}
		return
	}
	if last.Note == "" {
		if p != sent {
			t.Errorf("%q with %+v; want what was sent: %+v", e.Program, p, sent)
		}
		return
	}
	decoded := slashes.Replace(p.script + p.info)
	name := r.Env.Get("SCRIPT_FILENAME")
	switch {
	case p.script+p.info == sent.script+sent.info: // it was split already, or had PATH_INFO at its end
	case sent.info != "" && decoded == slashes.Replace(sent.script): // it had PATH_INFO twice
	case sent.info == "" && p.script == sent.script && strings.HasSuffix(name, p.info): // it had none
	default:
		t.Errorf("%q with %+v; want of what was sent: %+v, behind %q", e.Program, p, sent, name)
	}
}
