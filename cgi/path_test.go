package cgi

import "testing"

func TestFullPath(t *testing.T) {
	for _, c := range []struct {
		name   string
		env    []string
		policy PathPolicy
		want   string
	}{
		{"nginx FastCGI: the whole path in SCRIPT_NAME",
			[]string{"SCRIPT_NAME=/app/run.fcgi/tail/seg", "REQUEST_URI=/app/run.fcgi/tail/seg?a=1", "DOCUMENT_URI=/app/run.fcgi/tail/seg"},
			PathAuto, "/app/run.fcgi/tail/seg"},
		{"nginx FastCGI, decoded and normalised",
			[]string{"SCRIPT_NAME=/app/run.fcgi/a/b c/x+y", "REQUEST_URI=/app/run.fcgi/a%2Fb%20c/%C3%A9/../x%2By", "DOCUMENT_URI=/app/run.fcgi/a/b c/x+y"},
			PathAuto, "/app/run.fcgi/a/b c/x+y"},
		{"nginx SCGI: no SCRIPT_NAME",
			[]string{"REQUEST_URI=/app/a%20b?x", "DOCUMENT_URI=/app/a b"}, PathAuto, "/app/a b"},
		{"nginx with fastcgi_split_path_info",
			[]string{"SCRIPT_NAME=/app/run.fcgi", "PATH_INFO=/tail/seg", "REQUEST_URI=/app/run.fcgi/tail/seg", "DOCUMENT_URI=/app/run.fcgi/tail/seg"},
			PathAuto, "/app/run.fcgi/tail/seg"},
		{"nginx with fastcgi_split_path_info that did not match",
			[]string{"SCRIPT_NAME=/app/plain", "PATH_INFO=", "REQUEST_URI=/app/plain", "DOCUMENT_URI=/app/plain"}, PathAuto, "/app/plain"},
		{"nginx's git recipe: a PATH_INFO of its own beside the whole path",
			[]string{"SCRIPT_NAME=/git/a.git/info/refs", "PATH_INFO=/a.git/info/refs", "REQUEST_URI=/git/a.git/info/refs?service=git-upload-pack",
				"DOCUMENT_URI=/git/a.git/info/refs"}, PathAuto, "/git/a.git/info/refs"},
		{"Apache ProxyPass: the whole path in SCRIPT_NAME",
			[]string{"SCRIPT_NAME=/app/a b", "REQUEST_URI=/app/a%20b?q"}, PathAuto, "/app/a b"},
		{"Apache SetHandler: split",
			[]string{"SCRIPT_NAME=/app/run.fcgi", "PATH_INFO=/tail", "REQUEST_URI=/app/run.fcgi/tail"}, PathAuto, "/app/run.fcgi/tail"},
		{"Apache CGI without PATH_INFO", []string{"SCRIPT_NAME=/cgi-bin/x", "REQUEST_URI=/cgi-bin/x"}, PathAuto, "/cgi-bin/x"},
		{"an alias: nothing equals REQUEST_URI", []string{"SCRIPT_NAME=/real", "PATH_INFO=/x", "REQUEST_URI=/nice/x"}, PathAuto, "/real/x"},
		{"only PATH_INFO", []string{"PATH_INFO=/x", "REQUEST_URI=/a/x"}, PathAuto, "/x"},
		{"only REQUEST_URI", []string{"REQUEST_URI=/a%2fb%zz%4?x#y"}, PathAuto, "/a/b%zz%4"},
		{"absolute form", []string{"REQUEST_URI=http://h:80/a%20b?x"}, PathAuto, "/a b"},
		{"absolute form without a path", []string{"REQUEST_URI=http://h?x=/y"}, PathAuto, "/"},
		{"asterisk form", []string{"REQUEST_URI=*"}, PathAuto, "*"},
		{"nothing", nil, PathAuto, ""},
		{"IIS", []string{"SCRIPT_NAME=/app/x", "PATH_INFO=/app/x/y", "REQUEST_URI=/app/x"}, PathIIS, "/app/x/y"},
		{"IIS, no overlap on a segment boundary", []string{"SCRIPT_NAME=/app", "PATH_INFO=/application"}, PathIIS, "/app/application"},
		{"nginx policy does not look at REQUEST_URI", []string{"SCRIPT_NAME=/a", "PATH_INFO=/b", "REQUEST_URI=/a"}, PathNginx, "/a/b"},
		{"Apache policy does not look at DOCUMENT_URI", []string{"SCRIPT_NAME=/a", "PATH_INFO=/b", "DOCUMENT_URI=/a"}, PathApache, "/a/b"},
		{"Apache policy looks at REQUEST_URI", []string{"SCRIPT_NAME=/a", "PATH_INFO=/b", "REQUEST_URI=/a"}, PathApache, "/a"},
		{"keep", []string{"SCRIPT_NAME=/a", "PATH_INFO=/b", "REQUEST_URI=/a", "DOCUMENT_URI=/a"}, PathKeep, "/a/b"},
	} {
		if got := fullPath(NewEnviron(c.env...), c.policy); got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}

func TestParsePathPolicy(t *testing.T) {
	for p := PathAuto; p <= PathKeep; p++ {
		if got, ok := ParsePathPolicy(p.String()); !ok || got != p {
			t.Errorf("%v: %v, %v", p, got, ok)
		}
	}
	if _, ok := ParsePathPolicy("Auto"); ok {
		t.Error("an unknown name is taken")
	}
	if PathPolicy(99).String() != "unknown" {
		t.Error("an unknown policy has a name")
	}
}

func TestBodyLength(t *testing.T) {
	for _, c := range []struct {
		name       string
		env        []string
		end, noEnd int64
	}{
		{"nothing", nil, -1, -1},
		{"R10: digits", []string{"CONTENT_LENGTH=11"}, 11, 11},
		{"R10: empty", []string{"CONTENT_LENGTH="}, -1, -1},
		{"zero", []string{"CONTENT_LENGTH=0"}, 0, 0},
		{"Caddy, chunked", []string{"CONTENT_LENGTH=-1"}, -1, -1},
		{"a sign", []string{"CONTENT_LENGTH=+1"}, -1, -1},
		{"Arabic digits", []string{"CONTENT_LENGTH=٣"}, -1, -1},
		{"too large for an int64", []string{"CONTENT_LENGTH=9223372036854775808"}, -1, -1},
		{"the largest", []string{"CONTENT_LENGTH=9223372036854775807"}, 1<<63 - 1, 1<<63 - 1},
		{"nginx, unbuffered FastCGI, chunked", []string{"CONTENT_LENGTH=", "HTTP_TRANSFER_ENCODING=chunked"}, -1, -1},
		{"nginx, buffered, chunked", []string{"CONTENT_LENGTH=11", "HTTP_TRANSFER_ENCODING=Chunked"}, 11, 11},
		{"nginx, unbuffered SCGI", []string{"CONTENT_LENGTH=5", "HTTP_CONTENT_LENGTH=11"}, 5, 11},
		{"nginx, unbuffered SCGI, nothing there yet", []string{"CONTENT_LENGTH=0", "HTTP_CONTENT_LENGTH=11"}, 0, 11},
		{"the smaller of the two", []string{"CONTENT_LENGTH=11", "HTTP_CONTENT_LENGTH=5"}, 11, 11},
		{"only the field", []string{"HTTP_CONTENT_LENGTH=11"}, 11, 11},
	} {
		e := NewEnviron(c.env...)
		if got := e.BodyLength(true); got != c.end {
			t.Errorf("%s, with an end mark: got %d, want %d", c.name, got, c.end)
		}
		if got := e.BodyLength(false); got != c.noEnd {
			t.Errorf("%s, without an end mark: got %d, want %d", c.name, got, c.noEnd)
		}
	}
}

func TestR27IsHTTPS(t *testing.T) {
	for _, c := range []struct {
		https, scheme string
		want          bool
	}{
		{"on", "", true}, {"ON", "", true}, {"1", "", true}, {"Yes", "", true}, {"TRUE", "", true}, {"on", "http", true},
		{"", "https", true}, {"", "HTTPS", true},
		{"", "", false}, {"off", "", false}, {"OFF", "https", false}, {"0", "", false}, {"foo", "", false}, {"", "http", false},
	} {
		if got := NewEnviron("HTTPS="+c.https, "REQUEST_SCHEME="+c.scheme).IsHTTPS(); got != c.want {
			t.Errorf("HTTPS=%q REQUEST_SCHEME=%q: %v", c.https, c.scheme, got)
		}
	}
}

func TestTrimScriptName(t *testing.T) {
	for _, c := range []struct{ script, info, want string }{
		{"/app", "/app/x", "/x"},
		{"/app", "/app", ""},
		{"/app", "/application", "/application"},
		{"/app", "/APP/x", "/APP/x"},
		{"", "/x", "/x"},
		{"/app", "", ""},
	} {
		if got := trimScriptName(c.script, c.info); got != c.want {
			t.Errorf("trimScriptName(%q, %q) = %q, want %q", c.script, c.info, got, c.want)
		}
	}
}
