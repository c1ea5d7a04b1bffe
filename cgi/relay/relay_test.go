package relay

import (
	"errors"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/cgi"
	"gatehouse/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// A scripted Output returns pieces in turn, then its error.
type scripted struct {
	pieces   []string
	err      error
	along    bool // the error comes with the last piece
	deadline time.Time
	set      int // how often deadline was
}

// quiet is a piece that does not come before the deadline.
const quiet = "\x00quiet"

func (o *scripted) Read(p []byte) (int, error) {
	if len(o.pieces) == 0 {
		return 0, o.err
	}
	piece := o.pieces[0]
	if piece == quiet {
		o.pieces = o.pieces[1:]
		if o.deadline.IsZero() {
			return 0, errors.New("nothing bounds a read that could wait for ever")
		}
		return 0, os.ErrDeadlineExceeded
	}
	n := copy(p, piece)
	if o.pieces[0] = piece[n:]; o.pieces[0] == "" {
		o.pieces = o.pieces[1:]
	}
	if o.along && len(o.pieces) == 0 {
		return n, o.err
	}
	return n, nil
}

func (o *scripted) SetReadDeadline(t time.Time) error {
	o.deadline = t
	o.set++
	return nil
}

// A recorder is a response writer that writes down what is called.
type recorder struct {
	calls []string
	limit int // bytes of the body; 0: none
	bytes int
}

func (w *recorder) StartResponse(status string, fields []cgi.Field) error {
	w.calls = append(w.calls, status)
	for _, f := range fields {
		if f.Name == "Refused" {
			return errors.New("refused")
		}
	}
	return nil
}

func (w *recorder) Write(p []byte) (int, error) {
	if w.bytes += len(p); w.limit > 0 && w.bytes > w.limit {
		return 0, cgi.ErrContentLength
	}
	w.calls = append(w.calls, string(p))
	return len(p), nil
}

func (w *recorder) Flush() error {
	w.calls = append(w.calls, "flush")
	return nil
}

const head = "Content-Type: text/plain\n\n"

func TestCopy(t *testing.T) {
	failure := errors.New("broken")
	for _, c := range []struct {
		name     string
		relay    Relay
		pieces   string // with "|" between them; "~" is quiet
		readErr  error
		limit    int
		calls    string // with "|" between them
		copied   string // in the error of Copy
		complete string // in the error of Complete
	}{
		{name: "head and body", pieces: head + "|hello| world", calls: "200 OK|hello| world"},
		{name: "in one piece", pieces: head + "hello", calls: "200 OK|hello"},
		{name: "no head", pieces: "Content-Type: x", complete: "prog: no head: line 1"},
		{name: "nothing", complete: "the output is empty"},
		{name: "bad head", pieces: "no colon\n\n", copied: "prog: bad head: line 1"},
		{name: "head too long", relay: Relay{HeadBytes: 10}, pieces: head, copied: "prog: "},
		{name: "refused head", pieces: "Refused: 1\n\n", calls: "200 OK", copied: "prog: refused"},
		{name: "flush when nothing comes", pieces: head + "a|~|b", calls: "200 OK|a|flush|b"},
		{name: "head alone is flushed", pieces: head + "|~|b", calls: "200 OK|flush|b"},
		{name: "read error", pieces: head + "a", readErr: failure, calls: "200 OK|a", copied: "prog: reading its output: broken"},
		{name: "a little too long", pieces: head + "ab|c|d", limit: 2, calls: "200 OK|ab"},
		{name: "much too long", pieces: head + "ab|c|" + strings.Repeat("x", excessBytes+1), limit: 2, calls: "200 OK|ab", copied: cgi.ErrContentLength.Error()},
		{name: "local redirect", relay: Relay{FollowsRedirects: true}, pieces: "Location: /x?y\n\n", complete: `prog: local redirect to "/x?y"`},
		{name: "local redirect with a document", relay: Relay{FollowsRedirects: true}, pieces: "Location: /x\n\n|moved", calls: "302 Found|moved"},
		{name: "local redirect for the client", pieces: "Location: /x\n\n", calls: "302 Found"},
		{name: "whole response", relay: Relay{Whole: true}, pieces: "HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n|2\r\nab\r\n|0\r\n\r\n", calls: "200 OK|flush|ab|flush|flush|flush"},
		{name: "whole response, broken off", relay: Relay{Whole: true}, pieces: "HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n|2\r\nab", calls: "200 OK|flush|ab|flush", complete: "unexpected EOF"},
		{name: "whole response, badly chunked", relay: Relay{Whole: true}, pieces: "HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n|x\r\n", calls: "200 OK|flush", copied: "chunked"},
		{name: "whole response, gzip", relay: Relay{Whole: true}, pieces: "HTTP/1.1 200 OK\nTransfer-Encoding: gzip\n\n", copied: `"gzip": only chunked`},
		{name: "whole response to HEAD", relay: Relay{Whole: true, NoBody: true}, pieces: "HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n", calls: "200 OK|flush"},
		{name: "chunks of others are bytes", pieces: "Transfer-Encoding: chunked\n\n|2\r\nab", calls: "200 OK|2\r\nab"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := &recorder{limit: c.limit}
			o := &scripted{err: io.EOF}
			if c.readErr != nil {
				o.err = c.readErr
			}
			for p := range strings.SplitSeq(c.pieces, "|") {
				if p == "~" {
					p = quiet
				}
				if p != "" {
					o.pieces = append(o.pieces, p)
				}
			}
			var activity Activity
			activity.Start()
			r := c.relay
			r.Output, r.Response, r.Name, r.Activity = o, w, "prog", &activity
			err := r.Copy()
			checkError(t, "Copy", err, c.copied)
			if c.readErr != nil && !errors.Is(err, c.readErr) {
				t.Errorf("%v does not wrap %v", err, c.readErr)
			}
			if err == nil {
				err = r.Complete()
				checkError(t, "Complete", err, c.complete)
			}
			var se *cgi.StatusError
			if errors.As(err, &se) && se.Code != http.StatusBadGateway {
				t.Errorf("status %d; want 502", se.Code)
			}
			if got := strings.Join(w.calls, "|"); got != c.calls {
				t.Errorf("calls %q; want %q", got, c.calls)
			}
		})
	}
}

// TestCopyAtOnce: nothing is waited for behind a response whose end comes with its last bytes.
func TestCopyAtOnce(t *testing.T) {
	for _, along := range []bool{true, false} {
		o := &scripted{pieces: []string{"Content-Type: text/plain\n\nhello"}, err: io.EOF, along: along}
		var w recorder
		var a Activity
		a.Start()
		r := Relay{Output: o, Response: &w, Activity: &a}
		if err := r.Copy(); err != nil || r.Complete() != nil || w.bytes != 5 {
			t.Errorf("%v, %v, %d bytes", err, r.Complete(), w.bytes)
		}
		if waits := o.set > 0; waits == along {
			t.Errorf("the deadline was set %d times", o.set)
		}
	}
}

func checkError(t *testing.T, what string, err error, text string) {
	t.Helper()
	if (err != nil) != (text != "") || err != nil && !strings.Contains(err.Error(), text) {
		t.Errorf("%s: %v; want %q", what, err, text)
	}
}

func TestExpired(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := Limits{FirstByte: 10 * time.Second, Silence: 20 * time.Second, Run: 60 * time.Second}
		var a Activity
		expect := func(name string, next time.Duration) {
			t.Helper()
			n, _, d := a.Expired(l)
			if n != name || name == "" && d != next {
				t.Errorf("%v: %q, next in %v; want %q, %v", a.Elapsed(), n, d, name, next)
			}
		}
		a.Start()
		expect("", 10*time.Second)
		time.Sleep(15 * time.Second)
		a.Touch()
		expect("", 10*time.Second) // the body is on its way: first_byte has not begun
		a.BodyPassed()
		time.Sleep(9 * time.Second)
		expect("", time.Second)
		time.Sleep(time.Second)
		expect("first_byte", 0)
		a.Received()
		expect("", 20*time.Second)
		a.SetSending(true)
		time.Sleep(30 * time.Second)
		expect("", 5*time.Second) // the client is slow, and run goes on
		a.SetSending(false)
		time.Sleep(5 * time.Second)
		expect("run", 0)
		l.Run = 0
		time.Sleep(15 * time.Second)
		expect("silence", 0)
		l = Limits{FirstByte: -1}
		expect("", 1<<63-1)
	})
}
