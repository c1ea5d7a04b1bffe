//go:build linux

package script

import (
	"bytes"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse/cgi"
	"gatehouse/internal/testkit"
)

// A stderrSink is a recorder with a stream for the programs' stderr.
type stderrSink struct {
	recorder
	stderrMu sync.Mutex
	stderr   bytes.Buffer
	broken   bool
	ended    bool
}

func (s *stderrSink) WriteStderr(p []byte) error {
	s.stderrMu.Lock()
	defer s.stderrMu.Unlock()
	if s.ended {
		panic("stderr after the end of the response")
	}
	if s.broken {
		return fs.ErrClosed
	}
	s.stderr.Write(p)
	return nil
}

func (s *stderrSink) Finish(o cgi.Outcome) error {
	s.stderrMu.Lock()
	defer s.stderrMu.Unlock()
	s.ended = true
	return s.recorder.Finish(o)
}

func TestStderrToClient(t *testing.T) {
	f := newFixture(t)
	f.StderrToClient = true
	f.sh(t, "a.cgi", "printf 'one\\r\\ntwo' >&2; "+head+"echo done")
	s := new(stderrSink)
	res := f.handler().Run(request("/a.cgi"), s, f.App)
	if res.Err != nil || s.stderr.String() != "one\r\ntwo" {
		t.Errorf("%v, %q; want both lines as they are", res.Err, s.stderr.String())
	}
	if log := f.log.String(); strings.Contains(log, "two") {
		t.Errorf("the log has it, too: %s", log)
	}
	// A refusal is in both.
	s = new(stderrSink)
	f.handler().Run(request("/missing"), s, f.App)
	want := f.dir + "/missing: no such file"
	if s.stderr.String() != want+"\n" || !strings.Contains(f.log.String(), want) {
		t.Errorf("%q; want %q, there and in the log", s.stderr.String(), want)
	}
	// So is what is wrong with the output.
	f.sh(t, "headless", "echo hello world")
	f.sh(t, "failed", "echo 'a: bad thing' >&2; exit 3")
	for path, want := range map[string]string{
		"/headless": f.dir + `/headless: bad head: line 1, "hello world": a line of a head is "Name: value": print "Content-Type: text/html" and an empty line first` + "\n",
		"/failed":   "a: bad thing\n" + f.dir + `/failed: no head: line 1, "": the output is empty: its stderr may say why; exit status 3` + "\n",
	} {
		s = new(stderrSink)
		res := f.handler().Run(request(path), s, f.App)
		if s.stderr.String() != want || res.Code != 502 || !strings.Contains(want, strings.TrimPrefix(res.Err.Error(), "502 Bad Gateway: ")) {
			t.Errorf("%s: %q, %d, %v; want %q", path, s.stderr.String(), res.Code, res.Err, want)
		}
	}
	// So much of it, and no more.
	f.sh(t, "flood", head+"head -c 100000 /dev/zero | tr '\\0' x >&2; head -c 100000 /dev/zero | tr '\\0' x >&2")
	s = new(stderrSink)
	f.handler().Run(request("/flood"), s, f.App)
	if s.stderr.Len() != stderrTotal || !strings.Contains(f.log.String(), "bytes=134464") {
		t.Errorf("%d bytes; want %d, and the rest counted in the log", s.stderr.Len(), stderrTotal)
	}
	// Where there is no such stream, or no more, the log has it.
	for name, sink := range map[string]cgi.Sink{"none": new(recorder), "broken": &stderrSink{broken: true}} {
		f.sh(t, name, "echo to the log of "+name+" >&2; "+head)
		f.handler().Run(request("/"+name), sink, f.App)
		if !strings.Contains(f.log.String(), "to the log of "+name) {
			t.Errorf("%s: the log has no stderr: %s", name, f.log)
		}
	}
}

// A pieces is an Output that gives pieces; "" is one that does not come in time.
type pieces []string

func (o *pieces) Read(p []byte) (int, error) {
	if len(*o) == 0 {
		return 0, io.EOF
	}
	s := (*o)[0]
	*o = (*o)[1:]
	if s == "" {
		return 0, os.ErrDeadlineExceeded
	}
	return copy(p, s), nil
}

func (*pieces) SetReadDeadline(time.Time) error { return nil }

// TestStderrInWholeLines: the web server logs each record as a line of its own.
func TestStderrInWholeLines(t *testing.T) {
	long, line := strings.Repeat("x", 3000), strings.Repeat("y", 2999)+"\n"
	for _, c := range []struct {
		pieces  pieces
		limit   int
		records []string
	}{
		// Python writes a traceback in pieces.
		{pieces{"Traceback (most recent call last):\n", "  File \"x\", ", "line 1", "\n", "NameError: x\n"}, stderrTotal,
			[]string{"Traceback (most recent call last):\n  File \"x\", line 1\nNameError: x\n"}},
		{pieces{"one\ntw", "", "o\nthr", "ee"}, stderrTotal, []string{"one\n", "two\nthree"}},
		{pieces{"no", "", " end"}, stderrTotal, []string{"no end"}},
		{pieces{"", "a\n"}, stderrTotal, []string{"a\n"}},
		// Much of it goes on in large records, and a line that is too long in parts.
		{pieces{line, line, line, line, line, line}, stderrTotal, []string{strings.Repeat(line, 5), line}},
		{pieces{long, long, long, long, long, long}, stderrTotal, []string{strings.Repeat("x", stderrHeld), strings.Repeat("x", 18000-stderrHeld)}},
		{pieces{line, "", line, "", line}, 8 << 10, []string{line, line, line[:8<<10-6000]}},
	} {
		var got []string
		var log testkit.Log
		l := stderrLog{log: slog.New(slog.NewTextHandler(&log, nil)), limit: c.limit, hold: true, raw: func(p []byte) error {
			if len(p) > 0 {
				got = append(got, string(p))
			}
			return nil
		}}
		given := c.pieces
		l.drain(&given)
		if !slices.Equal(got, c.records) {
			t.Errorf("%.100q: records %.100q; want %.100q", c.pieces, got, c.records)
		}
		if cut := strings.Contains(log.String(), "suppressed"); cut != (c.limit < stderrTotal) {
			t.Errorf("%.100q: log %s", c.pieces, log.String())
		}
	}
}

// TestStderrIsHeldForNobody: when the web server takes no more, the log has the rest, in order.
func TestStderrIsHeldForNobody(t *testing.T) {
	var log testkit.Log
	l := stderrLog{log: slog.New(slog.NewTextHandler(&log, nil)), limit: stderrTotal, hold: true,
		raw: func([]byte) error { return fs.ErrClosed }}
	l.drain(&pieces{"one\ntw", "", "o\n", "three\n"})
	var lines []string
	for line := range strings.Lines(log.String()) {
		_, said, _ := strings.Cut(strings.TrimSpace(line), " line=")
		lines = append(lines, said)
	}
	if want := []string{"one", "two", "three"}; !slices.Equal(lines, want) {
		t.Errorf("%q; want %q", lines, want)
	}
}

// TestStderrAfterTheEnd: what a program says when its answer has long been given goes to
// the log: the web server may have another request under that number.
func TestStderrAfterTheEnd(t *testing.T) {
	f := newFixture(t)
	f.StderrToClient = true
	late := make(chan string, 1)
	f.Log = slog.New(slog.NewTextHandler(writerFunc(func(p []byte) (int, error) {
		if strings.Contains(string(p), "too late") {
			late <- string(p)
		}
		return len(p), nil
	}), nil))
	fifo := f.fifo(t, "fifo")
	f.sh(t, "a.cgi", head+"exec >&-; read line <fifo; echo too late >&2")
	w := new(stderrWriter)
	if err := f.App.ServeCGI(w, request("/a.cgi")); err != nil {
		t.Fatal(err)
	}
	w.ended.Store(true)
	writeFifo(t, fifo)
	testkit.Receive(t, "the line of the log", late)
	if w.late.Load() {
		t.Error("the web server gets it after the end")
	}
}

// A stderrWriter is a ResponseWriter that notes stderr after its end.
type stderrWriter struct{ ended, late atomic.Bool }

func (w *stderrWriter) StartResponse(string, []cgi.Field) error { return nil }
func (w *stderrWriter) Write(p []byte) (int, error)             { return len(p), nil }
func (w *stderrWriter) Flush() error                            { return nil }
func (w *stderrWriter) WriteStderr([]byte) error {
	if w.ended.Load() {
		w.late.Store(true)
	}
	return nil
}

type writerFunc func(p []byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

func TestStderrRaw(t *testing.T) {
	f := newFixture(t)
	out := new(testkit.Log)
	f.Stderr = out
	f.sh(t, "a.cgi", "printf 'one\\r\\ntwo' >&2; "+head)
	f.serve(request("/a.cgi"))
	if out.String() != "one\r\ntwo" || strings.Contains(f.log.String(), "two") {
		t.Errorf("%q; want it as it is, and not in the log", out)
	}
}
