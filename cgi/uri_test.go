package cgi_test

import (
	"errors"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"gatehouse/cgi"
)

// What wsgiref's application_uri and request_uri were seen to do beyond its own
// tests.
func TestURIs(t *testing.T) {
	const rest = " SERVER_NAME=h SERVER_PORT=80"
	for _, tt := range []struct {
		vars        string // separated by spaces
		scheme      string
		application string
		request     string
	}{
		// The host.
		{"HTTP_HOST=h:80", "", "http://h:80/", "http://h:80/"},
		{"HTTP_HOST=h:443", "https", "https://h:443/", "https://h:443/"},
		{"HTTP_HOST=H<>%x", "", "http://H<>%x/", "http://H<>%x/"},
		{"HTTP_HOST= SERVER_NAME=h SERVER_PORT=443", "https", "https://h/", "https://h/"},
		{"SERVER_NAME=h SERVER_PORT=80", "https", "https://h:80/", "https://h:80/"},
		{"SERVER_NAME=h SERVER_PORT=443", "", "http://h:443/", "http://h:443/"},
		{"SERVER_NAME=h SERVER_PORT=443 HTTPS=on", "", "https://h/", "https://h/"},
		{"SERVER_NAME=h SERVER_PORT=443 HTTPS=ON", "", "http://h:443/", "http://h:443/"},
		{"SERVER_NAME=h SERVER_PORT=80", "gopher", "gopher://h/", "gopher://h/"},
		{"SERVER_NAME=h SERVER_PORT=443", "gopher", "gopher://h:443/", "gopher://h:443/"},
		{"SERVER_NAME=[::1] SERVER_PORT=8080", "", "http://[::1]:8080/", "http://[::1]:8080/"},
		{"SERVER_NAME= SERVER_PORT=", "", "http://:/", "http://:/"},
		// What is quoted, and how.
		{"SCRIPT_NAME=/;=,@:&+$!*'()%" + rest, "", "http://h/%3B%3D%2C%40%3A%26%2B%24%21%2A%27%28%29%25", "http://h/%3B%3D%2C%40%3A%26%2B%24%21%2A%27%28%29%25"},
		{"SCRIPT_NAME=/a PATH_INFO=/;=,@:&+$!*'()%" + rest, "", "http://h/a", "http://h/a/;=,%40%3A%26%2B%24%21%2A%27%28%29%25"},
		{"SCRIPT_NAME=/azAZ09_.-~ PATH_INFO=/azAZ09_.-~" + rest, "", "http://h/azAZ09_.-~", "http://h/azAZ09_.-~/azAZ09_.-~"},
		{"SCRIPT_NAME=/\x01\t\x7f\x80\xff\" PATH_INFO=/é?#" + rest, "", "http://h/%01%09%7F%80%FF%22", "http://h/%01%09%7F%80%FF%22/%C3%A9%3F%23"},
		// Without SCRIPT_NAME the first character of PATH_INFO goes.
		{"PATH_INFO=/x" + rest, "", "http://h/", "http://h/x"},
		{"PATH_INFO=x" + rest, "", "http://h/", "http://h/"},
		{"PATH_INFO=//x" + rest, "", "http://h/", "http://h//x"},
		{"PATH_INFO=\xe4x" + rest, "", "http://h/", "http://h/E4x"},
		{"PATH_INFO=" + rest, "", "http://h/", "http://h/"},
		{"SCRIPT_NAME=a PATH_INFO=b" + rest, "", "http://ha", "http://hab"},
		{"SCRIPT_NAME=/ PATH_INFO=/x" + rest, "", "http://h/", "http://h//x"},
		// The query is appended as it is.
		{"PATH_INFO=/x QUERY_STRING=" + rest, "", "http://h/", "http://h/x"},
		{"PATH_INFO=/x QUERY_STRING=a=\xe4&%zz?#" + rest, "", "http://h/", "http://h/x?a=\xe4&%zz?#"},
	} {
		env := cgi.NewEnviron(strings.Split(tt.vars, " ")...)
		env.SetScheme(tt.scheme)
		if got, err := cgi.ApplicationURI(env); got != tt.application || err != nil {
			t.Errorf("%q: ApplicationURI is %q, %v, want %q", tt.vars, got, err, tt.application)
		}
		if got, err := cgi.RequestURI(env, true); got != tt.request || err != nil {
			t.Errorf("%q: RequestURI is %q, %v, want %q", tt.vars, got, err, tt.request)
		}
		without, _, _ := strings.Cut(tt.request, "?")
		if got, err := cgi.RequestURI(env, false); got != without || err != nil {
			t.Errorf("%q: RequestURI without query is %q, %v, want %q", tt.vars, got, err, without)
		}
	}
}

func TestURIsMissingVariable(t *testing.T) {
	for vars, name := range map[string]string{"": "SERVER_NAME", "SERVER_PORT=80": "SERVER_NAME", "SERVER_NAME=h": "SERVER_PORT", "HTTP_HOST= SERVER_NAME=h": "SERVER_PORT"} {
		env := cgi.NewEnviron(strings.Split(vars, " ")...)
		app, appErr := cgi.ApplicationURI(env)
		req, reqErr := cgi.RequestURI(env, true)
		for _, err := range []error{appErr, reqErr} {
			if missing, ok := errors.AsType[*cgi.MissingVarError](err); !ok || missing.Name != name || err.Error() != "cgi: variable "+name+" is not set" {
				t.Errorf("%q: %v", vars, err)
			}
		}
		if app != "" || req != "" {
			t.Errorf("%q: %q and %q beside an error", vars, app, req)
		}
	}
}

var (
	safeScriptName = regexp.MustCompile(`^(?:[A-Za-z0-9_.~/-]|%[0-9A-F]{2})*$`)
	safePathInfo   = regexp.MustCompile(`^(?:[A-Za-z0-9_.~/;=,-]|%[0-9A-F]{2})*$`)
)

// FuzzRequestURI holds that there are only safe characters in what is quoted, that
// unquoting gives the parts back, and that the query is as it was.
func FuzzRequestURI(f *testing.F) {
	f.Add("/spam", "/a b;c=1,2", "say=ni")
	f.Add("", "/sp\xe4m%", "")
	f.Add("", "x", "?")
	f.Add("", "\xe4", "a\r\nb")
	f.Add("a", "", "")
	f.Fuzz(func(t *testing.T, script, info, query string) {
		var env cgi.Environ
		env.Set("HTTP_HOST", "h")
		env.Set("SCRIPT_NAME", script)
		env.Set("PATH_INFO", info)
		env.Set("QUERY_STRING", query)
		app, err1 := cgi.ApplicationURI(&env)
		short, err2 := cgi.RequestURI(&env, false)
		whole, err3 := cgi.RequestURI(&env, true)
		if err := errors.Join(err1, err2, err3); err != nil {
			t.Fatal(err)
		}
		quotedScript, ok1 := strings.CutPrefix(app, "http://h")
		quotedInfo, ok2 := strings.CutPrefix(short, app)
		if !ok1 || !ok2 {
			t.Fatalf("%q and %q", app, short)
		}
		if want := short + "?" + query; query == "" && whole != short || query != "" && whole != want {
			t.Fatalf("%q with the query %q is %q", short, query, whole)
		}
		if !safeScriptName.MatchString(quotedScript) {
			t.Fatalf("%q became %q", script, quotedScript)
		}
		if script == "" {
			// The slash of the application stands for the first character of PATH_INFO.
			if quotedScript != "/" {
				t.Fatalf("no script name became %q", quotedScript)
			}
			switch {
			case info == "":
			case safePathInfo.MatchString(info[:1]):
				quotedInfo = info[:1] + quotedInfo
			default:
				quotedInfo = "%" + quotedInfo
			}
		} else if got, err := url.PathUnescape(quotedScript); got != script || err != nil {
			t.Fatalf("%q became %q: %v", script, quotedScript, err)
		}
		if !safePathInfo.MatchString(quotedInfo) {
			t.Fatalf("%q became %q", info, quotedInfo)
		}
		if got, err := url.PathUnescape(quotedInfo); got != info || err != nil {
			t.Fatalf("%q became %q: %v", info, quotedInfo, err)
		}
	})
}
