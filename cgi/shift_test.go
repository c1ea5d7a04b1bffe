package cgi_test

import (
	"slices"
	"strings"
	"testing"

	"gatehouse/cgi"
)

// What wsgiref's shift_path_info was seen to do beyond its own tests.
var shifts = []shift{
	{"", "//", "", true, "/", ""},
	{"/", "/x", "x", true, "//x", ""}, // POSIX leaves two slashes at the beginning
	{"/a", "/x/../y", "x", true, "/a/x", "/../y"},
	{"/a", "/x/.", "x", true, "/a/x", "/."},
	{"/a", "//.", "", false, "/a", ""},
	{"/a", "/.", "", false, "/a", ""},
	{"", "/.", "", false, "", ""},
	{"", "/..", "..", true, "", ""},
	{"/", "/..", "..", true, "/", ""},
	{"//", "/", "", true, "/", ""},
	{"//", "/x", "x", true, "/x", ""},
	{"//a", "/x", "x", true, "//a/x", ""},
	{"///a", "/x", "x", true, "/a/x", ""},
	{"//a", "/..", "..", true, "/", ""},
	{"/a/", "/x", "x", true, "/a/x", ""},
	{"/a/./b/../c", "/x", "x", true, "/a/c/x", ""},
	{"/a", "/...", "...", true, "/a/...", ""},
	{"/a", "/x\xe4/y", "x\xe4", true, "/a/x\xe4", "/y"},
	{"/a", "/x/.//./y/.//", "x", true, "/a/x", "/y/"},
	{"/a", "/x/y/.", "x", true, "/a/x", "/y/."},
	// A SCRIPT_NAME that is no absolute path.
	{"a", "/x", "x", true, "a/x", ""},
	{"a", "/..", "..", true, ".", ""},
	{"..", "/..", "..", true, "../..", ""},
	{"../a", "/..", "..", true, "..", ""},
	{"a/..", "/..", "..", true, "..", ""},
	{".", "/x", "x", true, "x", ""},
	{".", "/", "", true, "./", ""},
	// Where wsgiref drops what comes before the first slash, or fails.
	{"/a", "x/y", "x", true, "/a/x", "/y"},
	{"/a", "x", "x", true, "/a/x", ""},
	{"/a", ".", "", false, "/a", ""},
	{"/a", "./x", "x", true, "/a/x", ""},
	{"/a", "../x", "..", true, "", "/x"},
}

func TestShiftPathInfo(t *testing.T) {
	for _, s := range shifts {
		s.check(t)
	}
}

func TestShiftPathInfoSetsBoth(t *testing.T) {
	env := cgi.NewEnviron("PATH_INFO=/x")
	if name, ok := cgi.ShiftPathInfo(env); name != "x" || !ok {
		t.Errorf("got %q, %v", name, ok)
	}
	if got := env.Strings(); !slices.Equal(got, []string{"PATH_INFO=", "SCRIPT_NAME=/x"}) {
		t.Errorf("got %q", got)
	}
	for _, vars := range [][]string{nil, {"A=b"}, {"PATH_INFO="}, {"SCRIPT_NAME=/a//b"}} {
		env := cgi.NewEnviron(vars...)
		if name, ok := cgi.ShiftPathInfo(env); name != "" || ok || !slices.Equal(env.Strings(), cgi.NewEnviron(vars...).Strings()) {
			t.Errorf("%q: got %q, %v, and %q", vars, name, ok, env.Strings())
		}
	}
}

// A path is gone after as many calls as it has segments.
func TestShiftPathInfoEnds(t *testing.T) {
	env := cgi.NewEnviron("PATH_INFO=" + strings.Repeat("/./x//..", 50))
	for n := 1; ; n++ {
		if _, ok := cgi.ShiftPathInfo(env); !ok {
			if n != 101 || env.Get("SCRIPT_NAME") != "" {
				t.Errorf("%d calls, SCRIPT_NAME %q", n, env.Get("SCRIPT_NAME"))
			}
			return
		}
	}
}

// modelNormpath is Python's posixpath.normpath, line by line.
func modelNormpath(path string) string {
	if path == "" {
		return "."
	}
	initialSlashes := 0
	if strings.HasPrefix(path, "/") {
		initialSlashes = 1
	}
	if strings.HasPrefix(path, "//") && !strings.HasPrefix(path, "///") {
		initialSlashes = 2
	}
	var newComps []string
	for _, comp := range strings.Split(path, "/") {
		if comp == "" || comp == "." {
			continue
		}
		if comp != ".." || initialSlashes == 0 && len(newComps) == 0 || len(newComps) > 0 && newComps[len(newComps)-1] == ".." {
			newComps = append(newComps, comp)
		} else if len(newComps) > 0 {
			newComps = newComps[:len(newComps)-1]
		}
	}
	path = strings.Repeat("/", initialSlashes) + strings.Join(newComps, "/")
	if path == "" {
		return "."
	}
	return path
}

// modelShift is Python's shift_path_info, line by line, but for a path without a
// slash at its beginning.
func modelShift(scriptName, pathInfo string) shift {
	s := shift{script: scriptName, info: pathInfo, scriptAfter: scriptName, infoAfter: pathInfo}
	if pathInfo == "" {
		return s
	}
	if pathInfo[0] != '/' {
		pathInfo = "/" + pathInfo
	}
	pathParts := strings.Split(pathInfo, "/")
	last := len(pathParts) - 1
	middle := slices.DeleteFunc(slices.Clone(pathParts[1:last]), func(p string) bool { return p == "" || p == "." })
	pathParts = slices.Concat(pathParts[:1], middle, pathParts[last:])
	name := pathParts[1]
	pathParts = slices.Delete(pathParts, 1, 2)

	scriptName = modelNormpath(scriptName + "/" + name)
	scriptName = strings.TrimSuffix(scriptName, "/")
	if name == "" && !strings.HasSuffix(scriptName, "/") {
		scriptName += "/"
	}
	s.scriptAfter, s.infoAfter = scriptName, strings.Join(pathParts, "/")
	if name != "." {
		s.name, s.ok = name, true
	}
	return s
}

// FuzzShiftPathInfo holds that it does what Python's own lines do.
func FuzzShiftPathInfo(f *testing.F) {
	for _, s := range shifts {
		f.Add(s.script, s.info)
	}
	f.Fuzz(func(t *testing.T, script, info string) {
		modelShift(script, info).check(t)
	})
}
