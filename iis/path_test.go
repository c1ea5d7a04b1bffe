package iis

import (
	"testing"

	"gatehouse/cgi"
)

const unset = "\x00unset"

func pathVariables(script, info, uri string) *cgi.Environ {
	env := new(cgi.Environ)
	for _, v := range [][2]string{{"SCRIPT_NAME", script}, {"PATH_INFO", info}, {"REQUEST_URI", uri}} {
		if v[1] != unset {
			env.Set(v[0], v[1])
		}
	}
	return env
}

func lookup(env *cgi.Environ, name string) string {
	if v, ok := env.Lookup(name); ok {
		return v
	}
	return unset
}

func TestDedupPathInfo(t *testing.T) {
	for _, c := range []struct {
		script, info, want string
		changed            bool
	}{
		{"/app", "/app", "", true},
		{"/app", "/app/", "/", true},
		{"/app", "/app/x", "/x", true},
		{"/app", "/app/app/x", "/app/x", true},
		{"/app", "/application", "/application", false},
		{"/app", "/APP/x", "/APP/x", false},
		{"/app", "/x", "/x", false},
		{"/app", "/ap", "/ap", false},
		{"/app/", "/app/x", "/app/x", false},
		{"/", "//x", "/x", true},
		{"/", "/x", "/x", false},
		{"/", "/", "", true},
		{"", "/x", "/x", false},
		{"", "x", "x", false},
		{"", "", "", false},
		{"", unset, "", true},
		{unset, unset, "", true},
		{unset, "/x", "/x", false},
		{"/app", "", "", false},
		{"/app", unset, unset, false},
		{"/\xe9", "/\xe9/\xff", "/\xff", true},
	} {
		env := pathVariables(c.script, c.info, unset)
		if changed := DedupPathInfo(env); changed != c.changed {
			t.Errorf("%q, %q: changed is %v", c.script, c.info, changed)
		}
		if got := lookup(env, "PATH_INFO"); got != c.want {
			t.Errorf("%q, %q: PATH_INFO is %q, want %q", c.script, c.info, got, c.want)
		}
		if got := lookup(env, "SCRIPT_NAME"); got != c.script {
			t.Errorf("%q, %q: SCRIPT_NAME is %q now", c.script, c.info, got)
		}
	}
}

func TestModes(t *testing.T) {
	for _, c := range []struct {
		name              string
		script, info, uri string
		auto, strip, keep string // PATH_INFO afterwards
	}{
		{"repeated", "/app", "/app/x", "/app/x", "/x", "/x", "/app/x"},
		{"repeated, with a query", "/app", "/app/x", "/app/x?/app/app/x", "/x", "/x", "/app/x"},
		{"repeated, nothing else", "/app", "/app", "/app", "", "", "/app"},
		{"repeated, escaped", "/a b", "/a b/\xc3\xa9/y", "/a%20b/%c3%A9%2Fy", "/\xc3\xa9/y", "/\xc3\xa9/y", "/a b/\xc3\xa9/y"},
		{"repeated, absolute form", "/app", "/app/x", "http://example.org:80/app/x?q", "/x", "/x", "/app/x"},
		{"repeated twice", "/app", "/app/app/x", "/app/app/x", "/app/x", "/app/x", "/app/app/x"},
		{"repeated, path=*", "/app/x", "/app/x", "/app/x", "", "", "/app/x"},
		{"repeated, resolved", "/app", "/app/x/y", "/b/../app/./x//y", "/x/y", "/x/y", "/app/x/y"},
		{"repeated, a backslash", "/app", "/app/x", `/app\x`, "/x", "/x", "/app/x"},
		{"right", "/app", "/x", "/app/x", "/x", "/x", "/x"},
		{"right, nothing else", "/app", "", "/app", "", "", ""},
		{"right, begins with the script's name", "/app", "/app/x", "/app/app/x", "/app/x", "/x", "/app/x"},
		{"right, equals the script's name", "/app", "/app", "/app/app?x", "/app", "", "/app"},
		{"right, begins with the script's name, escaped", "/app", "/app/x", "/%61pp/app%2Fx", "/app/x", "/x", "/app/x"},
		{"right, begins with the script's name, resolved", "/app", "/app/x", "/app//app/y/../x", "/app/x", "/x", "/app/x"},
		{"no SCRIPT_NAME", unset, "/x", "/x", "/x", "/x", "/x"},
		{"no PATH_INFO", "/app", unset, "/app", unset, unset, unset},
		{"no REQUEST_URI", "/app", "/app/x", unset, "/x", "/x", "/app/x"},
		{"no REQUEST_URI, no repetition", "/app", "/x", unset, "/x", "/x", "/x"},
		{"an empty REQUEST_URI", "/app", "/app/x", "", "/x", "/x", "/app/x"},
		{"rewritten", "/app", "/app/x", "/nice/x", "/x", "/x", "/app/x"},
		{"rewritten, no repetition", "/app", "/x", "/nice/x", "/x", "/x", "/x"},
		{"a character that the code page lacks", "/app", "/app/?", "/app/%e2%82%ac", "/?", "/?", "/app/?"},
		{"another case than asked for", "/app", "/app/x", "/APP/x", "/x", "/x", "/app/x"},
		{"asterisk form", "", "*", "*", "*", "*", "*"},
	} {
		for mode, want := range map[Mode]string{Auto: c.auto, Strip: c.strip, Keep: c.keep} {
			env := pathVariables(c.script, c.info, c.uri)
			env.Set("HTTP_X_ORIGINAL_URL", "/app/app/x") // the client's
			if mode.decide(env) == Strip {
				DedupPathInfo(env)
			}
			if got := lookup(env, "PATH_INFO"); got != want && !(want == unset && got == "") {
				t.Errorf("%s, %v: PATH_INFO is %q, want %q", c.name, mode, got, want)
			}
		}
	}
}

func TestParseMode(t *testing.T) {
	for m := Auto; m <= Keep; m++ {
		if got, ok := ParseMode(m.String()); !ok || got != m {
			t.Errorf("%v: %v, %v", m, got, ok)
		}
	}
	if _, ok := ParseMode("Auto"); ok {
		t.Error("an unknown name is taken")
	}
	if Mode(99).String() != "unknown" {
		t.Error("an unknown mode has a name")
	}
}

// FuzzModes holds that PATH_INFO is left or loses SCRIPT_NAME, in every mode, and
// that Auto finds the right answer wherever REQUEST_URI spells the path.
func FuzzModes(f *testing.F) {
	f.Add("/app", "/x", "/app/x")
	f.Add("/app", "/app", "/app/../app")
	f.Add("", "", "%")
	f.Add("/", "//", `\`)
	f.Fuzz(func(t *testing.T, script, info, uri string) {
		for m := Auto; m <= Keep; m++ {
			env := pathVariables(script, info, uri)
			if m.decide(env) == Strip {
				DedupPathInfo(env)
			}
			got := env.Get("PATH_INFO")
			if got != info && (m == Keep || script+got != info) {
				t.Errorf("%v: %q, %q became %q", m, script, info, got)
			}
		}
		for i := range len(uri) {
			if c := uri[i]; c < '!' || c > '~' || c == '%' || c == '?' || c == '#' {
				return
			}
		}
		if script == "" || script[0] != '/' || uri == "" || uri[0] != '/' {
			return
		}
		whole := script + uri // the part below the script, as it was asked for
		if cgi.NewEnviron("REQUEST_URI="+whole).RequestPath() != whole {
			return
		}
		for _, sent := range []string{uri, whole} {
			env := pathVariables(script, sent, whole)
			if Auto.decide(env) == Strip {
				DedupPathInfo(env)
			}
			if got := env.Get("PATH_INFO"); got != uri {
				t.Errorf("SCRIPT_NAME %q, PATH_INFO %q, REQUEST_URI %q: PATH_INFO became %q, want %q", script, sent, whole, got, uri)
			}
		}
	})
}
