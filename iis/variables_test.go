package iis

import (
	"strings"
	"testing"

	"gatehouse/cgi"
)

func TestCleanVariables(t *testing.T) {
	for _, c := range []struct{ name, sent, want string }{
		{"what IIS sends on GET",
			"REQUEST_METHOD=GET|CONTENT_TYPE=|CONTENT_LENGTH=0|AUTH_TYPE=|AUTH_USER=|REMOTE_USER=|LOGON_USER=|CERT_SUBJECT=|CERT_FLAGS=|HTTPS=off|HTTPS_KEYSIZE=|SERVER_PORT_SECURE=0|QUERY_STRING=|SCRIPT_NAME=/a|PATH_INFO=|HTTP_X=",
			"REQUEST_METHOD=GET|CONTENT_LENGTH=0|SERVER_PORT_SECURE=0|QUERY_STRING=|SCRIPT_NAME=/a|PATH_INFO="},
		{"all that may be empty", "SCRIPT_NAME=|PATH_INFO=|QUERY_STRING=", "SCRIPT_NAME=|PATH_INFO=|QUERY_STRING="},
		{"nothing", "", ""},
		{"off in any case", "HTTPS=OFF", ""},
		{"on", "HTTPS=on|SERVER_PORT_SECURE=1", "HTTPS=on|SERVER_PORT_SECURE=1"},
		{"the second source", "SERVER_PORT_SECURE=1", "SERVER_PORT_SECURE=1|HTTPS=on"},
		{"the second source beside an empty one", "HTTPS=|SERVER_PORT_SECURE=1", "SERVER_PORT_SECURE=1|HTTPS=on"},
		{"the second source says no", "SERVER_PORT_SECURE=0", "SERVER_PORT_SECURE=0"},
		{"two that disagree", "HTTPS=off|SERVER_PORT_SECURE=1", "HTTPS=off|SERVER_PORT_SECURE=1"},
		{"two others that disagree", "HTTPS=off|REQUEST_SCHEME=https", "HTTPS=off|REQUEST_SCHEME=https"},
		{"another word", "HTTPS=no", "HTTPS=no"},
		{"names in any case", "Request_Method=GET|Auth_Password=p|content_type=", "REQUEST_METHOD=GET|AUTH_PASSWORD=p"},
		{"two names in one", "HTTP_Accept=a|HTTP_ACCEPT=b|x=1|X=2", "HTTP_ACCEPT=b, a|X=1"},
		{"two users in one", "REMOTE_USER=joe|Remote_User=admin", ""},
		{"a blank is no empty value", "REMOTE_USER= ", "REMOTE_USER= "},
	} {
		env := cgi.NewEnviron(strings.Split(c.sent, "|")...)
		https := env.IsHTTPS() || env.Get("HTTPS") == "" && env.Get("SERVER_PORT_SECURE") == "1"
		for _, call := range []string{"once", "twice"} {
			CleanVariables(env)
			if got := strings.Join(env.Strings(), "|"); got != c.want {
				t.Errorf("%s, %s: got %q, want %q", c.name, call, got, c.want)
			}
			if env.IsHTTPS() != https {
				t.Errorf("%s, %s: IsHTTPS is %v now", c.name, call, !https)
			}
		}
	}
}

// FuzzCleanVariables holds that afterwards names are in capitals and values are there, but for
// those that may be empty, that a second call changes nothing, and that no variable has a value
// that none had.
func FuzzCleanVariables(f *testing.F) {
	f.Add("REQUEST_METHOD=GET|CONTENT_TYPE=|HTTPS=off|QUERY_STRING=")
	f.Add("HTTPS=off|https=on|SERVER_PORT_SECURE=1|Server_Port_Secure=0")
	f.Add("HTTP_Accept=a|HTTP_ACCEPT=|http_accept=b|REMOTE_USER=joe|Remote_User=")
	f.Fuzz(func(t *testing.T, sent string) {
		env := cgi.NewEnviron(strings.Split(sent, "|")...)
		before := "on," // which HTTPS gets
		for _, value := range env.All() {
			before += value + ","
		}
		CleanVariables(env)
		once := strings.Join(env.Strings(), "|")
		for name, value := range env.All() {
			if name != strings.ToUpper(name) {
				t.Errorf("%q: there is %q", sent, name)
			}
			if value == "" && !mayBeEmpty(name) {
				t.Errorf("%q: %s is empty", sent, name)
			}
			for _, part := range strings.Split(value, ", ") { // of a field that was sent twice
				for _, part := range strings.Split(part, "; ") {
					if !strings.Contains(before, part) {
						t.Errorf("%q: %s is %q", sent, name, value)
					}
				}
			}
		}
		if CleanVariables(env); strings.Join(env.Strings(), "|") != once {
			t.Errorf("%q: %q at first, then %q", sent, once, env.Strings())
		}
	})
}
