package cgi_test

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"

	"gatehouse/cgi"
	"gatehouse/cgi/cgitest"
)

// A utilityCase is one check of CPython's test_wsgiref. The numbers count the checks
// of that file; those that are left out mean nothing in Go.
type utilityCase struct {
	name  string
	check func(t *testing.T)
}

// TestWsgirefUtil has the cases of CPython's test_wsgiref, UtilityTests.
func TestWsgirefUtil(t *testing.T) {
	for _, cases := range [][]utilityCase{shiftCases, defaultCases, schemeCases, uriCases, fileCases, hopByHopCases} {
		for _, c := range cases {
			t.Run(c.name, c.check)
		}
	}
}

// A shift is one call of ShiftPathInfo.
type shift struct {
	script, info string
	name         string
	ok           bool
	scriptAfter  string
	infoAfter    string
}

func (s shift) check(t *testing.T) {
	t.Helper()
	env := cgi.NewEnviron("SCRIPT_NAME="+s.script, "PATH_INFO="+s.info)
	cgitest.Defaults(env)
	name, ok := cgi.ShiftPathInfo(env)
	if name != s.name || ok != s.ok || env.Get("SCRIPT_NAME") != s.scriptAfter || env.Get("PATH_INFO") != s.infoAfter {
		t.Errorf("(%q, %q): got %q, %v, (%q, %q), want %q, %v, (%q, %q)", s.script, s.info,
			name, ok, env.Get("SCRIPT_NAME"), env.Get("PATH_INFO"), s.name, s.ok, s.scriptAfter, s.infoAfter)
	}
}

var shiftCases = []utilityCase{
	{"013_shift_simple_slash", shift{"", "/", "", true, "/", ""}.check},
	{"014_shift_simple_name", shift{"", "/x", "x", true, "/x", ""}.check},
	{"015_shift_simple_nothing", shift{"/", "", "", false, "/", ""}.check},
	{"016_shift_simple_two", shift{"/a", "/x/y", "x", true, "/a/x", "/y"}.check},
	{"017_shift_simple_slash_at_end", shift{"/a", "/x/", "x", true, "/a/x", "/"}.check},
	{"018_shift_normalized_up", shift{"/a/b", "/../y", "..", true, "/a", "/y"}.check},
	{"019_shift_normalized_up_at_root", shift{"", "/../y", "..", true, "", "/y"}.check},
	{"020_shift_normalized_two_slashes", shift{"/a/b", "//y", "y", true, "/a/b/y", ""}.check},
	{"021_shift_normalized_two_slashes_slash", shift{"/a/b", "//y/", "y", true, "/a/b/y", "/"}.check},
	{"022_shift_normalized_dot", shift{"/a/b", "/./y", "y", true, "/a/b/y", ""}.check},
	{"023_shift_normalized_dot_slash", shift{"/a/b", "/./y/", "y", true, "/a/b/y", "/"}.check},
	{"024_shift_normalized_all", shift{"/a/b", "///./..//y/.//", "..", true, "/a", "/y/"}.check},
	{"025_shift_normalized_slashes_alone", shift{"/a/b", "///", "", true, "/a/b/", ""}.check},
	{"026_shift_normalized_dot_and_slashes", shift{"/a/b", "/.//", "", true, "/a/b/", ""}.check},
	{"027_shift_normalized_slashes_at_end", shift{"/a/b", "/x//", "x", true, "/a/b/x", "/"}.check},
	{"028_shift_normalized_dot_alone", shift{"/a/b", "/.", "", false, "/a/b", ""}.check},
}

// checkDefault checks the default of a variable, and that an empty value is kept.
func checkDefault(name, want string) func(*testing.T) {
	return func(t *testing.T) {
		var env cgi.Environ
		cgitest.Defaults(&env)
		if v, ok := env.Lookup(name); v != want || !ok {
			t.Errorf("%s is %q, want %q", name, v, want)
		}
		kept := cgi.NewEnviron(name + "=")
		cgitest.Defaults(kept)
		if v, ok := kept.Lookup(name); v != "" || !ok {
			t.Errorf("the empty value of %s became %q", name, v)
		}
	}
}

// checkCrossDefault checks what Defaults makes of one variable that is set.
func checkCrossDefault(set string, got func(*cgi.Environ) string, want string) func(*testing.T) {
	return func(t *testing.T) {
		env := cgi.NewEnviron(set)
		cgitest.Defaults(env)
		if v := got(env); v != want {
			t.Errorf("got %q, want %q", v, want)
		}
	}
}

func variable(name string) func(*cgi.Environ) string {
	return func(env *cgi.Environ) string { return env.Get(name) }
}

var defaultCases = []utilityCase{
	{"029_defaults_server_name", checkDefault("SERVER_NAME", "127.0.0.1")},
	{"030_defaults_server_port", checkDefault("SERVER_PORT", "80")},
	{"031_defaults_server_protocol", checkDefault("SERVER_PROTOCOL", "HTTP/1.0")},
	{"032_defaults_http_host", checkDefault("HTTP_HOST", "127.0.0.1")},
	{"033_defaults_request_method", checkDefault("REQUEST_METHOD", "GET")},
	{"034_defaults_script_name", checkDefault("SCRIPT_NAME", "")},
	{"035_defaults_path_info", checkDefault("PATH_INFO", "/")},
	{"037_defaults_run_once", func(t *testing.T) {
		if cgitest.NewRequest(nil).RunOnce {
			t.Error("RunOnce is set")
		}
	}},
	{"038_defaults_multithread", func(t *testing.T) {
		if cgitest.NewRequest(nil).Multithread {
			t.Error("Multithread is set")
		}
	}},
	{"039_defaults_multiprocess", func(t *testing.T) {
		if cgitest.NewRequest(nil).Multiprocess {
			t.Error("Multiprocess is set")
		}
	}},
	{"040_defaults_input", func(t *testing.T) {
		r := cgitest.NewRequest(nil)
		if b, err := io.ReadAll(r.Body); len(b) != 0 || err != nil || r.ContentLength != 0 {
			t.Errorf("the body is %q, error %v, of %d bytes", b, err, r.ContentLength)
		}
	}},
	{"041_defaults_errors", func(t *testing.T) {
		r := cgitest.NewRequest(nil)
		io.WriteString(r.Stderr, "complaint")
		if b, ok := r.Stderr.(*bytes.Buffer); !ok || b.String() != "complaint" {
			t.Errorf("the error stream is %#v", r.Stderr)
		}
	}},
	{"042_defaults_url_scheme", func(t *testing.T) {
		var env cgi.Environ
		cgitest.Defaults(&env)
		if s := env.Scheme(); s != "http" {
			t.Errorf("the scheme is %q", s)
		}
		env.SetScheme("gopher")
		cgitest.Defaults(&env)
		if s := env.Scheme(); s != "gopher" {
			t.Errorf("the scheme that was set became %q", s)
		}
	}},
	{"043_cross_defaults_host", checkCrossDefault("SERVER_NAME=foo.bar", variable("HTTP_HOST"), "foo.bar")},
	{"044_cross_defaults_https_on", checkCrossDefault("HTTPS=on", (*cgi.Environ).Scheme, "https")},
	{"045_cross_defaults_https_1", checkCrossDefault("HTTPS=1", (*cgi.Environ).Scheme, "https")},
	{"046_cross_defaults_https_yes", checkCrossDefault("HTTPS=yes", (*cgi.Environ).Scheme, "https")},
	{"047_cross_defaults_https_foo", checkCrossDefault("HTTPS=foo", (*cgi.Environ).Scheme, "http")},
	{"048_cross_defaults_port_http", checkCrossDefault("HTTPS=foo", variable("SERVER_PORT"), "80")},
	{"049_cross_defaults_port_https", checkCrossDefault("HTTPS=on", variable("SERVER_PORT"), "443")},
}

func checkGuess(want string, vars ...string) func(*testing.T) {
	return func(t *testing.T) {
		if s := cgi.GuessScheme(cgi.NewEnviron(vars...)); s != want {
			t.Errorf("got %q, want %q", s, want)
		}
	}
}

var schemeCases = []utilityCase{
	{"050_guess_scheme_none", checkGuess("http")},
	{"051_guess_scheme_foo", checkGuess("http", "HTTPS=foo")},
	{"052_guess_scheme_on", checkGuess("https", "HTTPS=on")},
	{"053_guess_scheme_yes", checkGuess("https", "HTTPS=yes")},
	{"054_guess_scheme_1", checkGuess("https", "HTTPS=1")},
}

func checkApplicationURI(want string, vars ...string) func(*testing.T) {
	return func(t *testing.T) {
		env := cgi.NewEnviron(vars...)
		cgitest.Defaults(env)
		if uri, err := cgi.ApplicationURI(env); uri != want || err != nil {
			t.Errorf("got %q, %v, want %q", uri, err, want)
		}
	}
}

func checkRequestURI(want string, includeQuery bool, vars ...string) func(*testing.T) {
	return func(t *testing.T) {
		env := cgi.NewEnviron(vars...)
		cgitest.Defaults(env)
		if uri, err := cgi.RequestURI(env, includeQuery); uri != want || err != nil {
			t.Errorf("got %q, %v, want %q", uri, err, want)
		}
	}
}

var uriCases = []utilityCase{
	{"055_application_uri", checkApplicationURI("http://127.0.0.1/")},
	{"056_application_uri_script", checkApplicationURI("http://127.0.0.1/spam", "SCRIPT_NAME=/spam")},
	{"057_application_uri_script_encoded", checkApplicationURI("http://127.0.0.1/sp%E4m", "SCRIPT_NAME=/sp\xe4m")},
	{"058_application_uri_host_with_port", checkApplicationURI("http://spam.example.com:2071/", "HTTP_HOST=spam.example.com:2071", "SERVER_PORT=2071")},
	{"059_application_uri_server_name", checkApplicationURI("http://spam.example.com/", "SERVER_NAME=spam.example.com")},
	{"060_application_uri_host_first", checkApplicationURI("http://127.0.0.1/", "HTTP_HOST=127.0.0.1", "SERVER_NAME=spam.example.com")},
	{"061_application_uri_https", checkApplicationURI("https://127.0.0.1/", "HTTPS=on")},
	{"062_application_uri_port", checkApplicationURI("http://127.0.0.1:8000/", "SERVER_PORT=8000", "HTTP_HOST=")},
	{"063_request_uri", checkRequestURI("http://127.0.0.1/", true)},
	{"064_request_uri_script", checkRequestURI("http://127.0.0.1/spam", true, "SCRIPT_NAME=/spam")},
	{"065_request_uri_script_encoded", checkRequestURI("http://127.0.0.1/sp%E4m", true, "SCRIPT_NAME=/sp\xe4m")},
	{"066_request_uri_path", checkRequestURI("http://127.0.0.1/spammity/spam", true, "SCRIPT_NAME=/spammity", "PATH_INFO=/spam")},
	{"067_request_uri_path_encoded", checkRequestURI("http://127.0.0.1/spammity/sp%E4m", true, "SCRIPT_NAME=/spammity", "PATH_INFO=/sp\xe4m")},
	{"068_request_uri_semicolon", checkRequestURI("http://127.0.0.1/spammity/spam;ham", true, "SCRIPT_NAME=/spammity", "PATH_INFO=/spam;ham")},
	{"069_request_uri_parameters", checkRequestURI("http://127.0.0.1/spammity/spam;cookie=1234,5678", true, "SCRIPT_NAME=/spammity", "PATH_INFO=/spam;cookie=1234,5678")},
	{"070_request_uri_query", checkRequestURI("http://127.0.0.1/spammity/spam?say=ni", true, "SCRIPT_NAME=/spammity", "PATH_INFO=/spam", "QUERY_STRING=say=ni")},
	{"071_request_uri_query_encoded", checkRequestURI("http://127.0.0.1/spammity/spam?s%E4y=ni", true, "SCRIPT_NAME=/spammity", "PATH_INFO=/spam", "QUERY_STRING=s%E4y=ni")},
	{"072_request_uri_without_query", checkRequestURI("http://127.0.0.1/spammity/spam", false, "SCRIPT_NAME=/spammity", "PATH_INFO=/spam", "QUERY_STRING=say=ni")},
}

// A closing reader knows whether it was closed.
type closing struct {
	io.Reader
	closed int
	err    error // returned by Close
}

func (c *closing) Close() error {
	c.closed++
	return c.err
}

var fileCases = []utilityCase{{"073_file_wrapper", func(t *testing.T) {
	r := &closing{Reader: strings.NewReader(strings.Repeat("xyz", 50))}
	f := &cgi.File{R: r, BlockSize: 120}
	for _, want := range []string{strings.Repeat("xyz", 40), strings.Repeat("xyz", 10)} {
		if b, err := f.Next(); string(b) != want || err != nil {
			t.Errorf("got %q, %v, want %q", b, err, want)
		}
	}
	if b, err := f.Next(); b != nil || err != io.EOF {
		t.Errorf("at the end: %q, %v", b, err)
	}
	if r.closed != 0 {
		t.Error("the end has closed it")
	}
	if err := f.Close(); err != nil || r.closed != 1 {
		t.Errorf("Close: %v, closed %d times", err, r.closed)
	}
}}}

// checkHopByHop checks names as they are, in title, upper and lower case.
func checkHopByHop(names string, want bool) func(*testing.T) {
	return func(t *testing.T) {
		for _, name := range strings.Fields(names) {
			words := strings.Split(name, "-")
			for i, w := range words {
				words[i] = strings.ToUpper(w[:1]) + strings.ToLower(w[1:])
			}
			for _, n := range []string{name, strings.Join(words, "-"), strings.ToUpper(name), strings.ToLower(name)} {
				if cgi.IsHopByHop(n) != want {
					t.Errorf("IsHopByHop(%q) is %v", n, !want)
				}
			}
		}
	}
}

var hopByHopCases = []utilityCase{
	{"074_hop_by_hop", checkHopByHop("Connection Keep-Alive Proxy-Authenticate Proxy-Authorization TE Trailers Transfer-Encoding Upgrade", true)},
	{"075_not_hop_by_hop", checkHopByHop("Accept Cache-Control Date Pragma Trailer Via Warning", false)},
}

func TestWsgirefUtilNumbers(t *testing.T) {
	var numbers []string
	for _, cases := range [][]utilityCase{shiftCases, defaultCases, schemeCases, uriCases, fileCases, hopByHopCases} {
		for _, c := range cases {
			numbers = append(numbers, c.name[:3])
		}
	}
	var want []string
	for n := 13; n <= 75; n++ {
		if n != 36 { // wsgi.version
			want = append(want, fmt.Sprintf("%03d", n))
		}
	}
	if got := strings.Join(numbers, " "); got != strings.Join(want, " ") {
		t.Errorf("the cases are %s", got)
	}
}
