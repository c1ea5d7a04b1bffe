package daemon

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gatehouse/cgi"
)

func request(vars ...string) *cgi.Request { return &cgi.Request{Env: cgi.NewEnviron(vars...), ID: 17} }

var accessStart = time.Date(2026, 11, 21, 8, 0, 0, 0, time.UTC)

var accessTests = []struct {
	name   string
	vars   []string
	result cgi.Result
	want   string
}{
	{"plain",
		[]string{"REMOTE_ADDR=192.0.2.1", "REMOTE_USER=alice", "REQUEST_METHOD=GET", "REQUEST_URI=/x?y", "SERVER_PROTOCOL=HTTP/1.1"},
		cgi.Result{Code: 200, Bytes: 1234, Start: accessStart, Duration: 4 * time.Millisecond},
		`192.0.2.1 - alice [21/Nov/2026:08:00:00 +0000] "GET /x?y HTTP/1.1" 200 1234 id=17 time=0.004000 end=complete`},
	{"nothing known", nil,
		cgi.Result{Start: accessStart, Outcome: cgi.Outcome{End: cgi.Aborted}},
		`- - - [21/Nov/2026:08:00:00 +0000] "- - -" - 0 id=17 time=0.000000 end=aborted`},
	{"forged line",
		[]string{"REMOTE_USER=a b", "REQUEST_METHOD=GET", "REQUEST_URI=/\" 200\n127.0.0.1 \\ \xff\x7f", "SERVER_PROTOCOL=HTTP/1.1"},
		cgi.Result{Code: 500, Start: accessStart, Outcome: cgi.Outcome{End: cgi.Truncated}},
		`- - a\x20b [21/Nov/2026:08:00:00 +0000] "GET /\x22 200\x0a127.0.0.1 \x5c \xff\x7f HTTP/1.1" 500 0 id=17 time=0.000000 end=truncated`},
}

func TestAccessLog(t *testing.T) {
	for _, tt := range accessTests {
		t.Run(tt.name, func(t *testing.T) {
			var out bytes.Buffer
			hook, _, _, err := openAccessLog("stderr", &out, slog.New(slog.DiscardHandler))
			if err != nil {
				t.Fatal(err)
			}
			hook(request(tt.vars...), tt.result)
			if got := out.String(); got != tt.want+"\n" {
				t.Errorf("got\n%swant\n%s", got, tt.want)
			}
		})
	}
}

func TestAccessLogCutsLongValues(t *testing.T) {
	line := appendAccess(nil, request("REQUEST_URI=/"+strings.Repeat("x", 1<<20)), cgi.Result{})
	if len(line) > maxLogged+200 || !bytes.Contains(line, []byte("x... ")) {
		t.Errorf("%d bytes: %.80q", len(line), line)
	}
}

func TestAccessLogFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "access.log")
	for range 2 {
		hook, _, closeLog, err := openAccessLog(path, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		hook(request(), cgi.Result{Code: 204})
		if err := closeLog(); err != nil {
			t.Error(err)
		}
	}
	b, err := os.ReadFile(path)
	if err != nil || bytes.Count(b, []byte(" 204 0 id=17 ")) != 2 || bytes.Count(b, []byte("\n")) != 2 {
		t.Errorf("got %q, %v; want two lines", b, err)
	}
	if hook, _, _, err := openAccessLog("off", nil, nil); hook != nil || err != nil {
		t.Errorf("off: %v", err)
	}
	_, _, _, err = openAccessLog(filepath.Dir(path), nil, nil)
	checkError(t, err, "access log: "+filepath.Dir(path)+" is a directory: write the path of a file")
}

// A fullDisk fails until it is emptied.
type fullDisk struct {
	io.Writer
	full bool
}

func (d *fullDisk) Write(p []byte) (int, error) {
	if d.full {
		return 0, errors.New("no space left on device")
	}
	return d.Writer.Write(p)
}

func TestAccessLogReportsOnce(t *testing.T) {
	var lines, complaints bytes.Buffer
	disk := &fullDisk{&lines, true}
	w := newAccessWriter(disk, slog.New(slog.NewTextHandler(&complaints, nil)))
	l := &accessLog{w: w}
	for _, full := range []bool{true, true, false, true, true} {
		disk.full = full
		l.add(request(), cgi.Result{})
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	if n := strings.Count(complaints.String(), "cannot be written"); n != 2 || !strings.Contains(complaints.String(), "lines=2\n") {
		t.Errorf("%d complaints; want 2, and one of 2 lines:\n%s", n, &complaints)
	}
	if n := bytes.Count(lines.Bytes(), []byte("\n")); n != 1 {
		t.Errorf("%d lines; want 1", n)
	}
}
