package python

import (
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"gatehouse/fastcgi/record"
	"gatehouse/internal/testkit"
)

// TestEnviron: environ is a dict of str, made of the bytes that came.
func TestEnviron(t *testing.T) {
	p := startPeer(t, "python3", testdata(t), "rules:app", "--multiprocess")
	p.awaitReady(t)
	long := strings.Repeat("l", 200)
	_, got := p.do(t, "", "PATH_INFO=/environ", "QUERY_STRING=\xff\x00\u20ac", "HTTP_LONG="+long, long+"=x", "EMPTY=", "wsgi.run_once=yes").split()
	want := []string{"True", "[]", "EMPTY=''", "HTTP_LONG='" + long + "'", "PATH_INFO='/environ'", `QUERY_STRING='\xff\x00\xe2\x82\xac'`, "REQUEST_ID='abc-1'", "REQUEST_METHOD='GET'",
		"SCRIPT_NAME=''", "SERVER_NAME='example.com'", "SERVER_PORT='80'", "SERVER_PROTOCOL='HTTP/1.1'", long + "='x'",
		"wsgi.input_terminated=True", "wsgi.multiprocess=True", "wsgi.multithread=False", "wsgi.run_once=False", "wsgi.url_scheme='http'", "wsgi.version=(1, 0)"}
	if got != strings.Join(want, "\n") {
		t.Errorf("%s\nwant\n%s", got, strings.Join(want, "\n"))
	}
	for vars, want := range map[string]string{"HTTPS=on": "https", "HTTPS=Yes": "https", "HTTPS=1": "https", "HTTPS=true": "https", "HTTPS=off": "http", "HTTPS=": "http",
		"REQUEST_SCHEME=https": "https", "REQUEST_SCHEME=http": "http", "HTTPS=off REQUEST_SCHEME=https": "http", "HTTPS= REQUEST_SCHEME=HTTPS": "https", "HTTP_X_FORWARDED_PROTO=https": "http"} {
		if _, got := p.do(t, "", append(strings.Fields(vars), "PATH_INFO=/scheme")...).split(); got != want {
			t.Errorf("%s: %s, want %s", vars, got, want)
		}
	}
}

// TestAborted: at the next block a request that is aborted ends, its iterable is closed, and the worker serves on.
func TestAborted(t *testing.T) {
	p := startPeer(t, "python3", testdata(t), "rules:app")
	p.awaitReady(t)
	p.write(t, p.request("", 1, completed("", []string{"PATH_INFO=/forever"})...))
	p.write(t, record.AppendRecord(nil, record.AbortRequest, p.id, nil))
	if a := p.read(t); a.status != 1 || a.free == "" || a.stderr != "" {
		t.Errorf("status %d, FREE %q, stderr %q", a.status, a.free, a.stderr)
	}
	if _, seen := p.do(t, "", "PATH_INFO=/seen").split(); seen != "closed" {
		t.Errorf("seen %q", seen)
	}
	request := p.request("body", 4, completed("body", []string{"PATH_INFO=/untilread"})...)
	p.write(t, request[:len(request)-record.HeaderLen]) // STDIN goes on
	p.write(t, record.AppendRecord(nil, record.AbortRequest, p.id, nil))
	p.read(t)
	p.do(t, "", "PATH_INFO=/seen")
}

// TestRecords: what else may come on the connection, and in which parts.
func TestRecords(t *testing.T) {
	p := startPeer(t, "python3", testdata(t), "rules:app")
	p.awaitReady(t)
	expect := func(what string, want []byte) {
		t.Helper()
		h, content, err := p.reader.Next()
		got := append(append([]byte(nil), h...), content...)
		if err != nil || string(got) != string(want) {
			t.Fatalf("%s: %q, %v; want %q", what, got, err, want)
		}
	}
	p.write(t, record.AppendRecord(nil, 99, 0, nil))
	expect("unknown type", record.AppendUnknownType(nil, 99))
	p.write(t, record.AppendBegin(nil, 9, record.Authorizer, record.KeepConn))
	expect("another role", record.AppendEndRequest(nil, 9, 0, record.UnknownRole))
	p.write(t, record.AppendRecord(record.AppendRecord(nil, record.AbortRequest, 9, nil), record.Stdin, 9, []byte("late")))
	for _, b := range p.request("body", 1, completed("body", []string{"PATH_INFO=/untilread"})...) {
		p.write(t, []byte{b})
	}
	if _, body := p.read(t).split(); body != "4" {
		t.Errorf("body %q", body)
	}
	request := p.request("body", 4, completed("body", []string{"PATH_INFO=/untilread"})...)
	end := len(request) - 2*record.HeaderLen - 8 // of PARAMS
	p.write(t, request[:end])
	p.write(t, record.AppendBegin(nil, 77, record.Responder, record.KeepConn))
	expect("a second request", record.AppendEndRequest(nil, 77, 0, record.CantMpxConn))
	p.write(t, request[end:])
	if _, body := p.read(t).split(); body != "4" {
		t.Errorf("body %q", body)
	}
}

// TestTerminated: at TERM a worker ends the request that it has, without FREE, and one that is idle ends at once.
func TestTerminated(t *testing.T) {
	for _, python := range pythons(t) {
		p := startPeer(t, python.path, testdata(t), "rules:app")
		p.awaitReady(t)
		p.do(t, "", "PATH_INFO=/atend")
		request := p.request("body", 4, completed("body", []string{"PATH_INFO=/untilread"})...)
		end := len(request) - 2*record.HeaderLen - 8 // of PARAMS
		p.write(t, request[:end])
		testkit.Until(t, "the request", func() bool { return unread(t, p) == 0 })
		p.Process.Signal(syscall.SIGTERM)
		p.write(t, request[end:])
		if a := p.read(t); a.free != "" || a.status != 0 {
			t.Errorf("%s: FREE %q, status %d", python.version, a.free, a.status)
		}
		testkit.Receive(t, "the end of the worker", p.ended)
		if s := p.ProcessState; !s.Success() || !strings.Contains(p.log.String(), "thread ended\nexit function\n") {
			t.Errorf("%s: %v, log %q", python.version, s, p.log)
		}
		idle := startPeer(t, python.path, testdata(t), "rules:app")
		idle.awaitReady(t)
		idle.do(t, "", "PATH_INFO=/seen")
		idle.Process.Signal(syscall.SIGTERM)
		testkit.Receive(t, "the end of the idle worker", idle.ended)
		if s := idle.ProcessState; !s.Success() {
			t.Errorf("%s: idle: %v", python.version, s)
		}
	}
}

// unread returns how many bytes the worker has not read yet.
func unread(t *testing.T, p *peer) (n int) {
	t.Helper()
	raw, err := p.conn.SyscallConn()
	if err == nil {
		raw.Control(func(fd uintptr) { n, err = unix.IoctlGetInt(int(fd), unix.SIOCOUTQ) })
	}
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestValidate: with --validate, wsgiref.validate says where an application breaks the rules.
func TestValidate(t *testing.T) {
	p := startPeer(t, "python3", testdata(t), "rules:app", "--validate")
	p.awaitReady(t)
	for _, tt := range []struct{ path, body, out, stderr string }{
		{"/valid", "one\ntwo", "b'one'\nb'\\n'\n[b'two']", ""},
		{"/tupled", "", errorBody, "must be of type list"},
		{"/readsall", "", errorBody, "AssertionError"},
		{"/none", "", errorBody, "The application must return an iterator, if only an empty list"},
		{"/writestr", "", errorBody, "AssertionError"},
		{"/startnever", "", errorBody, "start_response"},
	} {
		a := p.do(t, tt.body, "PATH_INFO="+tt.path)
		if _, body := a.split(); body != tt.out || tt.stderr == "" && a.stderr != "" || !strings.Contains(a.stderr, tt.stderr) {
			t.Errorf("%s: %q, stderr\n%s", tt.path, body, a.stderr)
		}
	}
	if log := p.log.String(); log != "" {
		t.Errorf("log\n%s", log)
	}
}
