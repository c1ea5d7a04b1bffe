package cgi

import (
	"strings"
	"testing"
)

func TestReadEnviron(t *testing.T) {
	t.Setenv("PATH_INFO", "/\xe9\xc3\xa9")
	t.Setenv("HTTP_X", "")
	e := ReadEnviron()
	if got := e.Get("PATH_INFO"); got != "/\xe9\xc3\xa9" {
		t.Errorf("got %q", got)
	}
	if _, ok := e.Lookup("HTTP_X"); !ok {
		t.Error("an empty value is lost")
	}
}

func TestReadEnvironOnWindows(t *testing.T) {
	vars := []string{"=C:=C:\\", "Path=C:\\Windows", "Server_Software=Apache/2.4 (Win64)", "PATH_INFO=/\u00e9", "redirect_http_x=\u00e9",
		"REQUEST_URI=/\u00e9", "HTTP_EMPTY=", "path=C:\\last"}
	got := strings.Join(readEnviron(vars, true).Strings(), "|")
	if want := "PATH=C:\\last|SERVER_SOFTWARE=Apache/2.4 (Win64)|PATH_INFO=/\xe9|REDIRECT_HTTP_X=\xe9|REQUEST_URI=/\u00e9|HTTP_EMPTY="; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := strings.Join(readEnviron(vars[1:4], false).Strings(), "|"); got != strings.Join(vars[1:4], "|") {
		t.Errorf("elsewhere: %q", got)
	}
}

func TestNeedsTranscode(t *testing.T) {
	for _, name := range strings.Fields(`SCRIPT_NAME PATH_INFO QUERY_STRING REQUEST_METHOD AUTH_TYPE CONTENT_TYPE
		CONTENT_LENGTH HTTPS REMOTE_USER REMOTE_IDENT HTTP_X HTTP_ SSL_CLIENT_S_DN`) {
		for _, n := range []string{name, "REDIRECT_" + name, "REDIRECT_REDIRECT_" + name} {
			if !needsTranscode(n) {
				t.Errorf("%s: false", n)
			}
		}
	}
	for _, name := range strings.Fields(`REQUEST_URI PATH_TRANSLATED DOCUMENT_ROOT SERVER_NAME REMOTE_HOST REMOTE_ADDR
		http_x REDIRECT_ REDIRECT_STATUS XHTTP_X PATH`) {
		if needsTranscode(name) {
			t.Errorf("%s: true", name)
		}
	}
}

func TestTranscode(t *testing.T) {
	const utf8 = "/\u00c3\u00a9\u00ff" // how Apache stores the bytes c3 a9 ff
	for _, c := range []struct {
		name, value, software string
		windows               bool
		want                  string
	}{
		{"PATH_INFO", utf8, "Apache/2.4.66 (Win64)", true, "/\xc3\xa9\xff"},
		{"PATH_INFO", utf8, "apache/2", true, "/\xc3\xa9\xff"},
		{"REDIRECT_HTTP_X", utf8, "Apache/2", true, "/\xc3\xa9\xff"},
		{"PATH_INFO", "/ascii", "Apache/2", true, "/ascii"},
		{"PATH_INFO", "/\u00e9\u20ac", "Apache/2", true, "/\u00e9\u20ac"}, // the euro sign is no byte
		{"PATH_INFO", "/\xff\u00e9", "Apache/2", true, "/\xff\u00e9"},
		{"REQUEST_URI", utf8, "Apache/2", true, utf8},
		{"PATH_INFO", utf8, "Microsoft-IIS/10.0", true, utf8},
		{"PATH_INFO", utf8, "SimpleHTTP/0.6 Python/3.11", true, utf8},
		{"PATH_INFO", utf8, "", true, utf8},
		{"PATH_INFO", utf8, "ApacheLike", true, utf8},
		{"PATH_INFO", utf8, "Apache/2.4", false, utf8},
	} {
		if got := transcode(c.name, c.value, c.software, c.windows); got != c.want {
			t.Errorf("transcode(%q, %q, %q, %v) = %q, want %q", c.name, c.value, c.software, c.windows, got, c.want)
		}
	}
}

// FuzzTranscode holds that all bytes come back that Apache stored as characters, in the
// variables that it does so in, and that nothing else changes.
func FuzzTranscode(f *testing.F) {
	f.Add("PATH_INFO", "/caf\xc3\xa9\xff")
	f.Add("REDIRECT_HTTP_X", "\x80")
	f.Add("REQUEST_URI", "/\u20ac")
	f.Fuzz(func(t *testing.T, name, value string) {
		var stored strings.Builder
		for i := range len(value) {
			stored.WriteRune(rune(value[i]))
		}
		want := stored.String()
		if needsTranscode(name) {
			want = value
		}
		if got := transcode(name, stored.String(), "Apache/2.4.66 (Win64)", true); got != want {
			t.Errorf("%s: %q, stored as %q, came back as %q", name, value, stored.String(), got)
		}
		for _, software := range []string{"Microsoft-IIS/10.0", "SimpleHTTP/0.6 Python/3.11", ""} {
			if got := transcode(name, value, software, true); got != value {
				t.Errorf("%s, %q: %q became %q", name, software, value, got)
			}
		}
		if got := transcode(name, value, "Apache/2.4.66 (Unix)", false); got != value {
			t.Errorf("%s, not on Windows: %q became %q", name, value, got)
		}
		if narrowed := transcode(name, value, "Apache/2", true); len(narrowed) > len(value) {
			t.Errorf("%s: %q became longer: %q", name, value, narrowed)
		}
	})
}
