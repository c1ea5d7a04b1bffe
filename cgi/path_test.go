package cgi

import "testing"

func TestParsePathPolicy(t *testing.T) {
	for p := PathAuto; p <= PathRequest; p++ {
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
