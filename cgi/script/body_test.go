//go:build linux

package script

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gatehouse/cgi"
	"gatehouse/cgi/spool"
	"gatehouse/internal/frontend"
	"gatehouse/internal/testkit"
)

func TestFullDuplex(t *testing.T) {
	f := newFixture(t)
	f.link(t, "flood", "flood")
	s, res := f.serve(withBody(request("/flood"), 3<<20, bytes.NewReader(make([]byte, 3<<20))))
	want := strings.Repeat("0123456789abcdef", 64<<10) + "read 3145728 <nil>"
	checkOK(t, s, res, want)
}

func TestR65ProgramNeedNotReadTheBody(t *testing.T) {
	f := newFixture(t)
	f.sh(t, "early", head+"echo early\nexec 0<&-\necho answer")
	s, res := f.serve(withBody(request("/early"), 5<<20, bytes.NewReader(make([]byte, 5<<20))))
	checkOK(t, s, res, "early\nanswer\n")
	// Nor does a body that does not arrive hold its answer.
	f.sh(t, "ignore", head+"echo answer")
	r, w := io.Pipe()
	defer w.Close()
	s, res = f.serve(stalled(request("/ignore"), r))
	checkOK(t, s, res, "answer\n")
	if _, err := w.Write([]byte("x")); err == nil {
		t.Error("the body is still read after the answer")
	}
	// The head waits for the body, but not when the program has ended meanwhile.
	f.sh(t, "late", head+"echo answer\nsleep 0.1")
	r, w = io.Pipe()
	defer w.Close()
	s, res = f.serve(stalled(request("/late"), r))
	checkOK(t, s, res, "answer\n")
}

// stalled gives r a body of which what a program is started with has come, and rest is to
// come.
func stalled(r *cgi.Request, rest *io.PipeReader) *cgi.Request {
	return withBody(r, cgi.BodyAhead+10, struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(make([]byte, cgi.BodyAhead)), rest), rest})
}

// TestSlowBodiesHoldNoPlace: a request whose body has not come does not keep others from
// running, and nothing of a body that its program waited for is lost.
func TestSlowBodiesHoldNoPlace(t *testing.T) {
	const length = 3 * cgi.BodyAhead
	for _, sent := range []int{1, frontend.BufferSize, frontend.BufferSize + 1, cgi.BodyAhead - 1, cgi.BodyAhead, cgi.BodyAhead + 1, length} {
		f := newFixture(t)
		f.Limits.Programs = 1
		f.Limits.Spool.Total = spool.NewBudget(0)
		f.sh(t, "cat", head+"exec cat")
		f.sh(t, "fast", head+"echo fast")
		text := strings.Repeat("0123456789abcdef", length/16)
		body, more := io.Pipe()
		slow := make(chan string, 1)
		go func() {
			s, res := f.serve(withBody(request("/cat"), length, body))
			if res.Err != nil {
				t.Error(res.Err)
			}
			slow <- s.Body.String()
		}()
		io.WriteString(more, text[:sent])
		if sent < cgi.BodyAhead {
			s, res := f.serve(request("/fast"))
			checkOK(t, s, res, "fast\n")
		} else {
			testkit.Until(t, "the program with 64 KiB of its body", func() bool { return f.Load().Running == 1 })
		}
		io.WriteString(more, text[sent:])
		more.Close()
		if got := <-slow; got != text {
			t.Errorf("after %d bytes: got %d bytes, want those %d that were sent", sent, len(got), len(text))
		}
		f.Close()
		if n := f.Limits.Spool.Total.Used(); n != 0 {
			t.Errorf("after %d bytes: %d bytes of the budget are left", sent, n)
		}
	}
}

// TestStreaming: a program that is marked runs and responds before any of its body has come.
func TestStreaming(t *testing.T) {
	f := newFixture(t)
	f.Streaming = true
	f.sh(t, "talk", head+"echo ready\nexec cat")
	body, more := io.Pipe()
	s := new(recorder)
	s.onFlush = func(string) {
		s.onFlush = nil
		go func() {
			io.WriteString(more, "hello")
			more.Close()
		}()
	}
	res := f.serveTo(withBody(request("/talk"), 5, body), s)
	checkOK(t, s, res, "ready\nhello")
}

func TestBodies(t *testing.T) {
	f := newFixture(t)
	f.Limits.Spool = spool.Limits{Memory: 1000, Max: 100_000, Dir: t.TempDir()}
	f.sh(t, "cat", head+`echo "$REQUEST_METHOD ${CONTENT_LENGTH-unset}"; exec cat`)
	long := strings.Repeat("0123456789", 10_000)
	for _, c := range []struct {
		name   string
		length int64
		body   string
		want   string
	}{
		{"known", 5, "hello", "POST 5\nhello"},
		{"more than announced", 5, "hello, world", "POST 5\nhello"},
		{"long", int64(len(long)), long, "POST 100000\n" + long},
		{"none", 0, "", "POST unset\n"},
		{"unknown, in memory", -1, "hello", "POST 5\nhello"},
		{"unknown, in a file", -1, long, "POST 100000\n" + long},
		{"unknown, empty", -1, "", "POST unset\n"},
	} {
		s, res := f.serve(withBody(request("/cat"), c.length, strings.NewReader(c.body)))
		if res.Err != nil || s.Body.String() != c.want {
			t.Errorf("%s: %.100q, %v; want %.100q", c.name, s.Body.String(), res.Err, c.want)
		}
	}
	// An announced length that is not the true one does not reach the program.
	r := withBody(request("/cat", "CONTENT_LENGTH=-1"), -1, strings.NewReader("hello"))
	if s, _ := f.serve(r); s.Body.String() != "POST 5\nhello" {
		t.Errorf("%q; want the true length", s.Body.String())
	}
	_, res := f.serve(withBody(request("/cat"), -1, strings.NewReader(long+"!")))
	checkRefused(t, res, 413, "spool is full")
	budget := spool.NewBudget(50)
	f.state.limits.Spool.Total = budget
	_, res = f.serve(withBody(request("/cat"), -1, strings.NewReader(long)))
	checkRefused(t, res, 503, "spools are full together")
	f.Close()
	if budget.Used() != 0 {
		t.Errorf("%d bytes of the budget are left", budget.Used())
	}
}

func TestF12TruncatedBodyIsNeverPassedOffAsWhole(t *testing.T) {
	f := newFixture(t)
	f.Streaming = true
	fifo := f.fifo(t, "fifo")
	f.sh(t, "commit", "echo $$ >pgid\necho up >fifo\ncat >/dev/null && echo committed >committed\n"+head+"echo ok")
	late := &cgi.StatusError{Code: http.StatusRequestTimeout, Err: errors.New("body_read")}
	for _, c := range []struct {
		length int64
		body   io.Reader
		code   int
	}{
		{10, io.MultiReader(strings.NewReader("short"), &afterStart{fifo: fifo, err: io.EOF}), 400},
		{10, io.MultiReader(strings.NewReader("short"), &afterStart{fifo: fifo, err: io.ErrUnexpectedEOF}), 400},
		{10, &afterStart{fifo: fifo, err: late}, 408},
		{-1, errReader{late}, 408},
		{-1, errReader{io.ErrUnexpectedEOF}, 400},
	} {
		_, res := f.serve(withBody(request("/commit"), c.length, c.body))
		checkRefused(t, res, c.code)
	}
	f.Close()
	checkNoGroup(t, filepath.Join(f.dir, "pgid"))
	waits := newFixture(t)
	waits.sh(t, "commit", "echo >committed\n"+head+"echo ok")
	for code, body := range map[int]io.Reader{400: strings.NewReader("short"), 408: io.MultiReader(strings.NewReader("short"), errReader{late})} {
		_, res := waits.serve(withBody(request("/commit"), 10, body))
		checkRefused(t, res, code)
	}
	if _, err := os.Stat(filepath.Join(waits.dir, "committed")); err == nil {
		t.Error("a program was started without its body")
	}
	if _, err := os.Stat(filepath.Join(f.dir, "committed")); err == nil {
		t.Error("the program took a part of the body for the whole")
	}
}

// An afterStart is a body that fails once the program has written to the fifo.
type afterStart struct {
	fifo string
	err  error
}

func (r *afterStart) Read([]byte) (int, error) {
	if _, err := os.ReadFile(r.fifo); err != nil {
		return 0, err
	}
	return 0, r.err
}

type errReader struct{ err error }

func (r errReader) Read([]byte) (int, error) { return 0, r.err }

// TestNothingIsLeft runs programs of every kind of end and counts descriptors.
