package wrongport

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gatehouse/fastcgi/record"
)

var listeners = []Protocol{FastCGI, SCGI, HTTP}

var protocolTests = []struct {
	sent string
	want Protocol
}{
	{"\x01\x01\x00\x01\x00\x08\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00", FastCGI},
	{"\x01\x01\x00\x01\x00\x08\x00\x00", FastCGI},
	{"\x01\x09\x00\x00\x00\x11\x07\x00\x0f\x00FCGI_MPXS_CONNS", FastCGI}, // GET_VALUES, as HAProxy begins
	{"\x01\x0c\x00\x00\x00\x00\x00\x00", ""},                             // no type of the specification
	{"\x01\x00\x00\x00\x00\x00\x00\x00", ""},
	{"\x02\x01\x00\x01\x00\x08\x00\x00", ""},
	{"70:CONTENT_LENGTH\x0027\x00SCGI\x001\x00", SCGI}, // the example of the specification
	{"70:CONTE", SCGI},
	{"123456:C", SCGI},
	{"123456:REQUEST_METHOD\x00GET", ""},
	{":CONTENT_LENGTH\x00", ""},
	{"7o:CONTENT_LENGTH\x00", ""},
	{"70 CONTENT_LENGTH\x00", ""},
	{"\x00\x90\x01\x00\x0c\x00QUERY_STRING\x00\x00\x0e\x00REQUEST_METHOD", UWSGI},
	{"\x00\x90\x01\x00\x0c\x00Q", UWSGI},
	{"\x00\x03\x00\x00\x00\x01\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00", ""}, // a FastCGI record of version 0
	{"\x00\x90\x01\x00\x00\x00Q", ""},
	{"GET / HTTP/1.1\r\nHost: x\r\n\r\n", HTTP},
	{"PROPFIND / HTTP/1.1\r\n", HTTP},
	{"VERSION-CONTROL / HTTP/1.1\r\n", HTTP},
	{"PROPFIND", HTTP},
	{"PROXY /index HTTP/1.1\r\n", HTTP}, // a method like any other
	{"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", HTTP},
	{"get / http/1.1\r\n", ""},
	{"GE / HTTP/1.1\r\n", ""},
	{"GET\x00/ HTTP/1.1\r\n", ""},
	{"-GET / HTTP/1.1\r\n", ""},
	{"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\x00\x00\x00\x00", TLS},
	{"\x16\x03\x03\x00\xf4\x01\x00\x00", TLS},
	{"\x15\x03\x01\x00\x02\x02\x46", ""},
	{"PROXY TCP4 192.0.2.1 192.0.2.2 5000 80\r\nGET / HTTP/1.1\r\n\r\n", PROXY},
	{"PROXY TCP6 2001:db8::1 2001:db8::2 5000 80\r\n", PROXY},
	{"PROXY UNKNOWN\r\n", PROXY},
	{"PROXY TC", PROXY},
	{version2 + "\x21\x11\x00\x0c\xc0\x00\x02\x01\xc0\x00\x02\x02\x13\x88\x00\x50", PROXY},
	{version2[:8], PROXY},
	{"\r\n\r\nGET / HTTP/1.1", ""},
	{"", ""},
	{"\x16", ""},
	{"hello", ""},
}

func TestRecognize(t *testing.T) {
	for _, tt := range protocolTests {
		for _, listener := range listeners {
			p := Recognize(listener, []byte(tt.sent))
			switch {
			case tt.want == "" || tt.want == listener:
				if p != nil {
					t.Errorf("%q to %s: %s", tt.sent, listener, p.Speaks)
				}
			case p == nil:
				t.Errorf("%q to %s: not recognised", tt.sent, listener)
			case p.Speaks != tt.want || p.Listener != listener || p.Remedy() == "" || !strings.Contains(p.Message(), string(listener)):
				t.Errorf("%q to %s: %+v, %v", tt.sent, listener, p, p)
			}
		}
	}
}

// TestRecognizeAllocates: an HTTP front-end asks about each connection.
func TestRecognizeAllocates(t *testing.T) {
	first := []byte("GET /index.html HTTP/1.1\r\nHost: example.org\r\n\r\n")
	if n := testing.AllocsPerRun(100, func() { Recognize(HTTP, first) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// TestRecognizeCaptures: what real web servers send is recognised in any part that is long
// enough, and never on the listener that it is meant for.
func TestRecognizeCaptures(t *testing.T) {
	const dir = "../../cgi/testdata/captures"
	protocols := map[string]Protocol{"fastcgi": FastCGI, "scgi": SCGI, "uwsgi": UWSGI}
	files, err := filepath.Glob(filepath.Join(dir, "*.bin"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%d captures, %v", len(files), err)
	}
	for _, file := range files {
		want := protocols[strings.Split(filepath.Base(file), "-")[1]]
		sent, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range []int{8, Enough, len(sent)} {
			for _, listener := range listeners {
				p := Recognize(listener, sent[:n])
				if want == listener && p != nil || want != listener && (p == nil || p.Speaks != want) {
					t.Errorf("%d bytes of %s to %s: %+v", n, filepath.Base(file), listener, p)
				}
			}
		}
	}
}

func TestRemedy(t *testing.T) {
	for _, tt := range []struct {
		listener Protocol
		sent     string
		want     string
	}{
		{FastCGI, "70:CONTENT_LENGTH\x00", "SCGI came to a FastCGI listener: nginx: use fastcgi_pass, not scgi_pass, for this address; " +
			"Apache: use fcgi://, not scgi://; or have gatehouse listen for SCGI (--scgi)"},
		{SCGI, "\x01\x01\x00\x01\x00\x08\x00\x00", "FastCGI came to an SCGI listener: nginx: use scgi_pass, not fastcgi_pass, for this address; " +
			"Apache: use scgi://, not fcgi://; or have gatehouse listen for FastCGI (--fastcgi)"},
		{FastCGI, "GET / HTTP/1.1", "HTTP came to a FastCGI listener: nginx: use fastcgi_pass, not proxy_pass, for this address; " +
			"Apache: use fcgi://, not http://; or have gatehouse listen for HTTP (--http)"},
		{HTTP, "\x00\x90\x01\x00\x0c\x00QUERY_STRING", "uwsgi came to an HTTP listener: nginx: use proxy_pass, not uwsgi_pass, for this address; " +
			"Apache: use http://, not uwsgi://"},
		{HTTP, "\x16\x03\x01\x02\x00", "TLS came to an HTTP listener: use http://, not https://, for this address: " +
			"gatehouse speaks no TLS; a web server in front of it does"},
		{SCGI, "\x16\x03\x01\x02\x00", "TLS came to an SCGI listener: have the web server speak SCGI to this address, without TLS " +
			"(HAProxy: remove ssl from the server line)"},
		{HTTP, "PROXY UNKNOWN\r\n", "the PROXY protocol came to an HTTP listener: HAProxy: remove send-proxy, or send-proxy-v2, from the server line; " +
			"nginx: remove proxy_protocol; for the address of the client, use X-Forwarded-For and trusted_proxies"},
	} {
		if p := Recognize(tt.listener, []byte(tt.sent)); p == nil || p.Error() != tt.want {
			t.Errorf("%q to %s: %v\nwant %s", tt.sent, tt.listener, p, tt.want)
		}
	}
}

func TestResponse(t *testing.T) {
	const v1 = "PROXY TCP4 192.0.2.1 192.0.2.2 5000 80\r\n"
	const v2 = version2 + "\x21\x11\x00\x0c\xc0\x00\x02\x01\xc0\x00\x02\x02\x13\x88\x00\x50"
	const begin = "\x01\x01\x01\x02\x00\x08\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00"
	http, cgi, stderr := "HTTP/1.1 400 Bad Request\r\n", "Status: 502 Bad Gateway\r\n", "\x01\x07\x01\x02"
	for _, tt := range []struct {
		listener Protocol
		sent     string
		want     string // at its beginning
		body     bool
	}{
		{FastCGI, "GET / HTTP/1.1\r\n", http, true},
		{FastCGI, "HEAD / HTTP/1.1\r\n", http, false},
		{FastCGI, "70:CONTENT_LENGTH\x00", cgi, true},
		{SCGI, "\x00\x90\x01\x00\x0c\x00QUERY_STRING", cgi, true},
		{SCGI, "\x16\x03\x01\x02\x00", http, true},
		{SCGI, begin, stderr, true},
		{SCGI, "\x01\x09\x00\x00\x00\x11\x07\x00\x0f\x00FCGI_MPXS_CONNS", "", false},
		{HTTP, v1 + "GET / HTTP/1.1\r\n", http, true},
		{HTTP, v1, http, true},
		{HTTP, v1 + begin, stderr, true},
		{SCGI, v1 + "70:CONTENT_LENGTH\x00", cgi, true},
		{SCGI, v1[:20], http, true},
		{FastCGI, v2 + begin, stderr, true},
		{FastCGI, v2 + "HEAD / HTTP/1.1", http, false},
		{FastCGI, v2[:15], http, true},
		{FastCGI, version2 + "\x21\x11\xff\xffabc", http, true}, // longer than what has come
	} {
		p := Recognize(tt.listener, []byte(tt.sent))
		if p == nil {
			t.Errorf("%q to %s: not recognised", tt.sent, tt.listener)
			continue
		}
		got := string(p.Response())
		if !strings.HasPrefix(got, tt.want) || tt.want == "" && got != "" || strings.Contains(got, p.Remedy()) != tt.body {
			t.Errorf("%q to %s: response %q", tt.sent, tt.listener, got)
		}
	}
	// All records of the response to a FastCGI request have its id, and the last one ends it.
	b := Recognize(HTTP, []byte(begin)).Response()
	r := record.NewReader(strings.NewReader(string(b)))
	var last record.Type
	for {
		h, _, err := r.Next()
		if err != nil {
			break
		}
		if h.ID() != 0x0102 {
			t.Errorf("a record of request %d", h.ID())
		}
		last = h.Type()
	}
	if last != record.EndRequest {
		t.Errorf("the last record is %v", last)
	}
}

func FuzzRecognize(f *testing.F) {
	for _, tt := range protocolTests {
		f.Add([]byte(tt.sent))
	}
	f.Fuzz(func(t *testing.T, sent []byte) {
		for _, listener := range listeners {
			p := Recognize(listener, sent)
			if p == nil {
				continue
			}
			if p.Speaks == listener {
				t.Errorf("%s is refused on its own listener", listener)
			}
			if n := len(p.Response()); n > 2048 {
				t.Errorf("a response of %d bytes", n)
			}
		}
	})
}
