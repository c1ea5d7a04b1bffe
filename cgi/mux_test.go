package cgi

import (
	"errors"
	"testing"
)

// R22: SCRIPT_NAME is the mount point, and holds no segment of PATH_INFO.
func TestR22MuxSplitsThePath(t *testing.T) {
	var got, script, info string
	m := new(Mux)
	for _, prefix := range []string{"/", "/a", "/a/b/", "/git"} {
		err := m.Mount(prefix, AppFunc(func(w ResponseWriter, r *Request) error {
			got, script, info = prefix, r.Env.Get("SCRIPT_NAME"), r.Env.Get("PATH_INFO")
			return nil
		}))
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		name                 string
		env                  []string
		prefix, script, info string
	}{
		{"the longest prefix", []string{"SCRIPT_NAME=/a/b/c"}, "/a/b/", "/a/b", "/c"},
		{"no segment boundary", []string{"SCRIPT_NAME=/a/bc"}, "/a", "/a", "/bc"},
		{"nothing after the prefix", []string{"SCRIPT_NAME=/a"}, "/a", "/a", ""},
		{"a slash after the prefix", []string{"SCRIPT_NAME=/a/"}, "/a", "/a", "/"},
		{"the root", []string{"SCRIPT_NAME=/ab"}, "/", "", "/ab"},
		{"the root, split by the web server", []string{"SCRIPT_NAME=/x", "PATH_INFO=/y"}, "/", "/x", "/y"},
		{"split by the web server elsewhere", []string{"SCRIPT_NAME=/a/b/c", "PATH_INFO=/d"}, "/a/b/", "/a/b", "/c/d"},
		{"nginx SCGI", []string{"DOCUMENT_URI=/a/x"}, "/a", "/a", "/x"},
		{"the git recipe", []string{"SCRIPT_NAME=/git/r/info", "PATH_INFO=/r/info", "DOCUMENT_URI=/git/r/info"}, "/git", "/git", "/r/info"},
	} {
		r := &Request{Env: NewEnviron(c.env...)}
		full := r.FullPath()
		sentScript, sentInfo, sentHas := r.SentPath()
		got = "none"
		if err := m.ServeCGI(nil, r); err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if got != c.prefix || script != c.script || info != c.info {
			t.Errorf("%s: %s got SCRIPT_NAME %q PATH_INFO %q; want %s, %q, %q", c.name, got, script, info, c.prefix, c.script, c.info)
		}
		if r.FullPath() != full {
			t.Errorf("%s: the full path was %q and is %q", c.name, full, r.FullPath())
		}
		if s, i, has := r.SentPath(); s != sentScript || i != sentInfo || has != sentHas {
			t.Errorf("%s: SentPath is %q, %q, %v after the split", c.name, s, i, has)
		}
	}
}

// A path that a Mux has split may look like the overlap that FullPath cuts.
func TestMuxInMux(t *testing.T) {
	inner, outer := new(Mux), new(Mux)
	var script, info string
	inner.Mount("/a/b", AppFunc(func(w ResponseWriter, r *Request) error {
		script, info = r.Env.Get("SCRIPT_NAME"), r.Env.Get("PATH_INFO")
		return nil
	}))
	outer.Mount("/a", inner)
	for name, r := range map[string]*Request{
		"a rewritten path": {Env: NewEnviron("SCRIPT_NAME=/a/b/c", "DOCUMENT_URI=/a/b/c", "REQUEST_URI=/a")},
		"IIS":              {Env: NewEnviron("SCRIPT_NAME=/a", "PATH_INFO=/a/b/c"), Paths: PathIIS},
	} {
		script, info = "", ""
		if err := outer.ServeCGI(nil, r); err != nil || script != "/a/b" || info != "/c" {
			t.Errorf("%s: SCRIPT_NAME %q PATH_INFO %q, %v", name, script, info, err)
		}
	}
}

func TestMuxWithoutAMatch(t *testing.T) {
	m := new(Mux)
	m.Mount("/a", AppFunc(func(ResponseWriter, *Request) error { return errors.New("called") }))
	var se *StatusError
	if err := m.ServeCGI(nil, &Request{Env: NewEnviron("SCRIPT_NAME=/b")}); !errors.As(err, &se) || se.Code != 404 {
		t.Errorf("error %v", err)
	}
}

func TestMountRefuses(t *testing.T) {
	m := new(Mux)
	m.Mount("/a", nil)
	for _, p := range []string{"", "a", "/a", "/a/"} {
		if m.Mount(p, nil) == nil {
			t.Errorf("%q is mounted", p)
		}
	}
}
