package daemon

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"gatehouse/cgi"
)

func request(vars ...string) *cgi.Request { return &cgi.Request{Env: cgi.NewEnviron(vars...), ID: 17} }

var accessStart = time.Date(2026, 11, 21, 8, 0, 0, 5e6, time.UTC)

var plainRequest = []string{"REMOTE_ADDR=192.0.2.1", "REMOTE_USER=alice", "REQUEST_METHOD=GET", "REQUEST_URI=/x?y", "SERVER_PROTOCOL=HTTP/1.1",
	"HTTP_REFERER=http://example.org/", "HTTP_USER_AGENT=curl/8", "HTTP_HOST=example.com"}

var plainResult = cgi.Result{Code: 200, Bytes: 1234, Start: accessStart, Duration: 4 * time.Millisecond}

var hostileRequest = []string{"REMOTE_USER=a b", "REQUEST_METHOD=GET", "REQUEST_URI=/\" 200\n127.0.0.1 \\ \xff\x7f\u2028é", "SERVER_PROTOCOL=HTTP/1.1"}

var accessTests = []struct {
	name, format string
	vars         []string
	result       cgi.Result
	want         string
}{
	{"common", "common", plainRequest, plainResult,
		`192.0.2.1 - alice [21/Nov/2026:08:00:00 +0000] "GET /x?y HTTP/1.1" 200 1234 id=17 time=0.004000 end=complete`},
	{"nothing known", "common", nil, cgi.Result{Start: accessStart},
		`- - - [21/Nov/2026:08:00:00 +0000] "- - -" - 0 id=17 time=0.000000 end=complete`},
	{"client gone before the head", "common", nil, cgi.Result{Start: accessStart, Outcome: cgi.Outcome{End: cgi.Aborted}},
		`- - - [21/Nov/2026:08:00:00 +0000] "- - -" 499 0 id=17 time=0.000000 end=aborted`},
	{"client gone later", "$status $sent_status $end", nil, cgi.Result{Code: 200, Outcome: cgi.Outcome{End: cgi.Aborted}},
		`499 200 aborted`},
	{"forged line", "common", hostileRequest, cgi.Result{Code: 500, Start: accessStart, Outcome: cgi.Outcome{End: cgi.Truncated}},
		`- - a\x20b [21/Nov/2026:08:00:00 +0000] "GET /\x22\x20200\x0a127.0.0.1\x20\x5c\x20\xff\x7f\xe2\x80\xa8\xc3\xa9 HTTP/1.1" 500 0 id=17 time=0.000000 end=truncated`},
	{"combined, as nginx writes it", "combined", plainRequest, plainResult,
		`192.0.2.1 - alice [21/Nov/2026:08:00:00 +0000] "GET /x?y HTTP/1.1" 200 1234 "http://example.org/" "curl/8"`},
	{"combined, with nothing", "combined", nil, cgi.Result{Start: accessStart},
		`- - - [21/Nov/2026:08:00:00 +0000] "- - -" - 0 "-" "-"`},
	{"json", "json", plainRequest, plainResult,
		`{"time":"2026-11-21T08:00:00.009+00:00","level":"INFO","msg":"access","request":"17","client":"192.0.2.1","user":"alice","method":"GET","uri":"/x?y",` +
			`"protocol":"HTTP/1.1","host":"example.com","referer":"http://example.org/","user_agent":"curl/8","application":"","program":"","pid":null,"status":200,"end":"complete","check":"","bytes_in":0,"bytes":1234,` +
			`"queued":0.000000,"first_byte":null,"seconds":0.004000,"exit":null,"signal":"","cpu":null,"peak_memory":null,` +
			`"trace_id":"","span_id":""}`},
	{"json with hostile values", `{"user":"$remote_user","uri":"$request_uri"}`, hostileRequest, plainResult,
		`{"user":"a b","uri":"/\" 200\u000a127.0.0.1 \\ \ufffd\u007f\u2028é"}`},
	{"absent in json", `{"status":$status,"user":"$remote_user","text":"a \"$request\" b"}`, nil, cgi.Result{},
		`{"status":null,"user":"","text":"a \"  \" b"}`},
	{"a template", `${request_id}:$http_x_forwarded_for;$request_time|$msec`, []string{"HTTP_X_FORWARDED_FOR=a;b"}, plainResult,
		`17:a\x3bb;0.004000|1795248000.005000`},
	{"a program", `$application $program $pid $queue_time $first_byte_time $request_body_bytes $exit $signal $cpu_time $peak_memory $check`, nil,
		cgi.Result{Application: "/cgi-bin", BytesIn: 7, FirstByte: 1500 * time.Microsecond, Usage: cgi.Usage{Program: "/usr/lib/cgi-bin/a", PID: 4711, Queued: 2 * time.Second,
			Exited: true, ExitStatus: 3, User: time.Second, System: time.Millisecond, PeakMemory: 1 << 20}},
		`/cgi-bin /usr/lib/cgi-bin/a 4711 2.000000 0.001500 7 3 - 1.001000 1048576 -`},
	{"a program that was killed", `$exit $signal $check`, nil, cgi.Result{Check: "run", Usage: cgi.Usage{Exited: true, Signal: "SIGKILL"}}, `- SIGKILL run`},
	{"a trace", `$trace_id $span_id`, []string{"HTTP_TRACEPARENT=00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}, cgi.Result{},
		`0af7651916cd43dd8448eb211c80319c b7ad6b7169203331`},
	{"no field behind another", `$remote_user$host`, []string{"REMOTE_USER=a", "HTTP_HOST=b"}, plainResult, `ab`},
	{"the log's text", recordText, plainRequest, plainResult,
		`time=2026-11-21T08:00:00.009+00:00 level=INFO msg=access request=17 client=192.0.2.1 user="alice" method=GET uri="/x?y" application="-" program="-" status=200 end=complete bytes=1234 seconds=0.004000`},
}

func TestAccessFormat(t *testing.T) {
	for _, tt := range accessTests {
		t.Run(tt.name, func(t *testing.T) {
			f, err := parseAccessFormat(tt.format)
			if err != nil {
				t.Fatal(err)
			}
			if got := string(f.append(nil, request(tt.vars...), &tt.result)); got != tt.want {
				t.Errorf("got\n%s\nwant\n%s", got, tt.want)
			}
		})
	}
}

// Each field can be written, and its name is in the list that the manual has.
func TestAccessFields(t *testing.T) {
	r := request(append(plainRequest, "REMOTE_PORT=1", "SERVER_NAME=n", "SERVER_PORT=80")...)
	for _, field := range AccessFields() {
		f, err := parseAccessFormat("<$" + field.Name + ">")
		if err != nil {
			t.Errorf("%s: %v", field.Name, err)
			continue
		}
		line := string(f.append(nil, r, &plainResult))
		if len(line) < 3 || field.Text == "" {
			t.Errorf("%s is %q; meaning %q", field.Name, line, field.Text)
		}
	}
}

// TestOperatingPage: the page has each field, and no other.
func TestOperatingPage(t *testing.T) {
	b, err := os.ReadFile("../docs/operating.md")
	if err != nil {
		t.Fatal(err)
	}
	page, n := string(b), 0
	for _, field := range AccessFields() {
		if want := fmt.Sprintf("| `$%s` | %s |\n", field.Name, field.Text); !strings.Contains(page, want) {
			t.Errorf("the page has no line %q", want)
		}
	}
	for line := range strings.Lines(page) {
		if strings.HasPrefix(line, "| `$") {
			n++
		}
	}
	if want := len(AccessFields()) + 1; n != want { // and $http_NAME
		t.Errorf("the page has %d fields; want %d", n, want)
	}
}

func TestAccessLogCutsLongValues(t *testing.T) {
	for _, tt := range []struct{ format, value, want string }{
		{"common", strings.Repeat("x", 1<<20), "x... "},
		{"json", strings.Repeat("x", 1<<20), `x...",`},
		{"json", "x" + strings.Repeat("é", 1<<20), `é...",`},   // not within a character
		{"json", strings.Repeat("\xff", 1<<20), `\ufffd...",`}, // six bytes each
	} {
		f, err := parseAccessFormat(tt.format)
		if err != nil {
			t.Fatal(err)
		}
		line := f.append(nil, request("REQUEST_URI=/"+tt.value), &cgi.Result{})
		if len(line) > 6*maxLogged+500 || !bytes.Contains(line, []byte(tt.want)) || !utf8.Valid(line) {
			t.Errorf("%s of %.4q: %d bytes: %.80q", tt.format, tt.value, len(line), line)
		}
		if f.json && (!json.Valid(line) || strings.Count(string(line), `\ufffd`) == 1) {
			t.Errorf("%s of %.4q is not JSON, or cut in a character: %.80q", tt.format, tt.value, line)
		}
	}
}

func TestAccessFormatErrors(t *testing.T) {
	for _, tt := range []struct{ format, want string }{
		{"", `"" is no format: write common, combined, json, or a template with fields, such as '$remote_addr "$request" $status'`},
		{"apache", `"apache" is no format: write common, combined, json, or a template with fields`},
		{"$status $uri_x_y", "unknown field $uri_x_y: there are $request_id, $trace_id, "},
		{"$remote_adr", "unknown field $remote_adr: "},
		{"$statis", `did you mean`},
		{"$http_", "unknown field $http_: "},
		{"a $ b", `"$" without the name of a field behind it`},
		{"$status $", `"$" without the name`},
		{"${status", "${status has no closing brace"},
		{"${}", "unknown field $: "},
		{"$status\n", "it has a line end or another control character"},
		{"$status" + strings.Repeat("x", maxAccessFormat), "more than 4096"},
		{`{"uri":$request_uri}`, `$request_uri is text: write it in quotes: "$request_uri"`},
		{`{"status":$status`, `it begins with "{", but does not make JSON: a request would have the line {"status":null`},
		{`{"status":$status}}`, `does not make JSON`},
	} {
		err := checkAccessFormat(tt.format)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%.60q: %v; want %s", tt.format, err, tt.want)
		}
	}
}

// No line of the access log allocates.
func TestAccessFormatAllocations(t *testing.T) {
	for _, format := range []string{"common", "combined", "json", recordText} {
		f, err := parseAccessFormat(format)
		if err != nil {
			t.Fatal(err)
		}
		s := &logStream{to: discard{}}
		s.format.Store(f)
		r := request(plainRequest...)
		s.add(r, plainResult)
		if n := testing.AllocsPerRun(1000, func() { s.add(r, plainResult) }); n != 0 {
			t.Errorf("%s: %v allocations", format, n)
		}
	}
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }

// Whatever clients send, a line is one line, and JSON is JSON.
func FuzzAccessFormat(f *testing.F) {
	f.Add("/x", "alice", "curl")
	f.Add("\xff\n\"", "\\", "\u2028\xe2\x80")
	var formats []*accessFormat
	for _, format := range []string{"common", "combined", "json", recordText} {
		parsed, err := parseAccessFormat(format)
		if err != nil {
			f.Fatal(err)
		}
		formats = append(formats, parsed)
	}
	f.Fuzz(func(t *testing.T, uri, user, agent string) {
		env := new(cgi.Environ)
		for name, value := range map[string]string{"REQUEST_URI": uri, "REMOTE_USER": user, "HTTP_USER_AGENT": agent} {
			env.Set(name, value)
		}
		for _, format := range formats {
			line := format.append(nil, &cgi.Request{Env: env}, &cgi.Result{})
			if bytes.ContainsAny(line, "\n\r\x00\x7f") || format.json && !json.Valid(line) {
				t.Errorf("%q", line)
			}
			if !format.json && bytes.Count(line, []byte(`"`))%2 != 0 {
				t.Errorf("odd quotes: %q", line)
			}
		}
	})
}
