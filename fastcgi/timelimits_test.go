package fastcgi

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/cgi"
	"gatehouse/fastcgi/record"
	"gatehouse/internal/testkit"
)

// The limits of the tests in bubbles. What is measured may differ by the ticks that
// sweep them.
const (
	bubbleIdle   = 70 * time.Second
	bubbleBody   = 50 * time.Second
	bubbleWrite  = 40 * time.Second
	bubbleLinger = 10 * time.Second
	bubbleTick   = 600 * time.Millisecond
)

// A bubbleTest is a client of a server whose time is a bubble's.
type bubbleTest struct {
	*client
	logs  *testkit.Log
	cause chan error // of what the application failed for
	start time.Time
}

// inTime runs a test against a server in a bubble, which must not outlive it: nothing
// may be left of a connection that a limit has ended.
func inTime(t *testing.T, room int, test func(*bubbleTest)) {
	t.Helper()
	inTimeAtRate(t, room, -1, test)
}

// inTimeAtRate is inTime with Limits.BodyRate.
func inTimeAtRate(t *testing.T, room int, rate int64, test func(*bubbleTest)) {
	synctest.Test(t, func(t *testing.T) {
		b := &bubbleTest{logs: new(testkit.Log), cause: make(chan error, 10)}
		app := cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
			err := answerLarge(w, r)
			if err != nil {
				b.cause <- err
			}
			return err
		})
		log := b.logs.Logger()
		s := &Server{App: app, Filter: app, Log: log, Handler: &cgi.Handler{Log: log},
			Limits: cgi.Limits{Idle: bubbleIdle, BodyRead: bubbleBody, BodyRate: rate, Write: bubbleWrite, Linger: bubbleLinger}}
		l := newPipeListener()
		served := make(chan error, 1)
		go func() { served <- s.Serve(l) }()
		time.Sleep(10 * time.Second) // a server that has been idle ticks slowly
		nc := l.dial(room, true)
		b.client = &client{t: t, Conn: nc, r: record.NewReader(nc)}
		b.start = time.Now()
		test(b)
		nc.Close()
		synctest.Wait()
		s.acceptor.Shutdown(t.Context(), nil) // returns only if no request is in the way
		<-served
	})
}

// answerLarge reads the body, or the data of a Filter, and writes as much as LARGE says.
func answerLarge(w cgi.ResponseWriter, r *cgi.Request) error {
	if pause, err := time.ParseDuration(r.Env.Get("PAUSE")); err == nil { // after a byte
		io.ReadFull(r.Body, make([]byte, 1))
		time.Sleep(pause)
	}
	if r.Env.Get("UNREAD") == "" {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			return err
		}
	}
	if r.Data != nil {
		if _, err := io.Copy(io.Discard, r.Data); err != nil {
			return err
		}
	}
	if err := w.StartResponse("200 OK", nil); err != nil {
		return err
	}
	_, err := w.Write(bytes.Repeat([]byte("x"), len(r.Env.Get("LARGE"))*1000))
	return err
}

// after checks that as much time has passed as the limit says, and no more than ticks
// beyond.
func (b *bubbleTest) after(limit time.Duration) {
	b.t.Helper()
	if d := time.Since(b.start); d < limit-bubbleTick || d > limit+bubbleTick {
		b.t.Errorf("ended after %v, the limit is %v", d, limit)
	}
}

// logged checks that the only line of the log names the key of a limit; "" if there is
// none.
func (b *bubbleTest) logged(key string) {
	b.t.Helper()
	synctest.Wait()
	if log := b.logs.String(); key == "" && log != "" || key != "" && (!strings.Contains(log, key) || strings.Count(log, "\n") != 1) {
		b.t.Errorf("log is %q, want the key %q in one line", log, key)
	}
}

// TestIdleInTime: a connection without a request, or with one that never arrives.
func TestIdleInTime(t *testing.T) {
	half := params(1, "A=b")[:12]
	for _, x := range []struct {
		name  string
		sends [][]byte // one each 30 seconds
		key   string
	}{
		{"a silent peer", nil, ""},
		{"half a header", [][]byte{{1, 1, 0, 1}}, ""},
		{"management alone", [][]byte{raw(1, 9, 0, "", 0, 0), raw(1, 9, 0, "", 0, 0), raw(1, 9, 0, "", 0, 0)}, ""},
		{"a request without variables", [][]byte{begin(1, 1)}, "limit=idle"},
		{"half a record of variables", [][]byte{append(begin(1, 1), half...)}, "limit=idle"},
		{"variables that trickle", [][]byte{append(begin(1, 1), raw(1, 4, 1, "\x01", 0, 0)...), raw(1, 4, 1, "\x01", 0, 0), raw(1, 4, 1, "A", 0, 0)}, "limit=idle"},
	} {
		t.Run(x.name, func(t *testing.T) {
			inTime(t, 0, func(b *bubbleTest) {
				go func() {
					for _, p := range x.sends {
						b.Write(p)
						time.Sleep(30 * time.Second)
					}
				}()
				for _, _, _, err := b.next(); err == nil; _, _, _, err = b.next() {
				}
				b.after(bubbleIdle)
				b.logged(x.key)
				time.Sleep(time.Minute) // the one that sends
			})
		})
	}
	t.Run("between requests", func(t *testing.T) {
		inTime(t, 0, func(b *bubbleTest) {
			for range 5 {
				b.send(get(1, 1))
				b.answer(1)
				b.start = time.Now()
				time.Sleep(bubbleIdle - 2*bubbleTick)
			}
			b.closed()
			b.after(bubbleIdle)
			b.logged("")
		})
	})
	t.Run("beside a request that runs", func(t *testing.T) {
		inTime(t, 0, func(b *bubbleTest) {
			b.send(begin(1, 1), params(1, "CONTENT_LENGTH=9"), begin(2, 1))
			for range 9 {
				time.Sleep(bubbleBody - 2*bubbleTick)
				if _, err := b.Write(stdin(1, "x")); err != nil {
					break
				}
			}
			b.closed()
			synctest.Wait()
			if log := b.logs.String(); !strings.Contains(log, "limit=idle") {
				t.Errorf("log does not name the key: %s", log)
			}
		})
	})
}

// TestBodyReadInTime: the limit is on the time between two bytes, and each begins it
// anew.
func TestBodyReadInTime(t *testing.T) {
	for name, request := range map[string]struct {
		begin, piece []byte
	}{
		"STDIN": {append(begin(1, 1), params(1, "CONTENT_LENGTH=100")...), stdin(1, "x")},
		"DATA": {bytes.Join([][]byte{record.AppendBegin(nil, 1, record.Filter, 1), params(1, "CONTENT_LENGTH=0", "FCGI_DATA_LENGTH=100"), endStdin(1)}, nil),
			record.AppendStream(nil, record.Data, 1, []byte("x"))},
	} {
		t.Run(name, func(t *testing.T) {
			inTime(t, 0, func(b *bubbleTest) {
				b.send(request.begin)
				for range 5 {
					time.Sleep(bubbleBody - 2*bubbleTick)
					b.send(request.piece)
					b.start = time.Now()
				}
				if a := b.answer(1); !strings.HasPrefix(a.stdout, "Status: 408 ") {
					t.Errorf("got %q", a.stdout)
				}
				b.after(bubbleBody)
				b.logged("body_read")
				b.send(get(2, 0)) // the connection goes on
				b.answer(2)
			})
		})
	}
	t.Run("behind another", func(t *testing.T) {
		inTime(t, 0, func(b *bubbleTest) {
			b.send(begin(1, 1), params(1, "CONTENT_LENGTH=100"), begin(2, 1), params(2, "CONTENT_LENGTH=100"))
			time.Sleep(bubbleBody / 2)
			b.send(stdin(2, "x"))
			late := time.Now()
			if a := b.answer(1); !strings.HasPrefix(a.stdout, "Status: 408 ") {
				t.Errorf("got %q", a.stdout)
			}
			b.after(bubbleBody)
			b.start = late
			if a := b.answer(2); !strings.HasPrefix(a.stdout, "Status: 408 ") {
				t.Errorf("got %q", a.stdout)
			}
			b.after(bubbleBody)
		})
	})
}

// TestBodyRateInTime: a body may not fall a minute behind the rate, in the time that the
// application waits for it.
func TestBodyRateInTime(t *testing.T) {
	for _, x := range []struct {
		name  string
		rate  int64
		piece int           // bytes
		pause time.Duration // before each piece
		end   time.Duration // 0: the body comes in time
	}{
		{"a byte a second", 0, 1, time.Second, time.Minute},
		{"half the rate", 0, 25, time.Second / 10, 2 * time.Minute},
		{"fast enough", 0, 500, time.Second, 0},
		{"in bursts", 0, 20_000, 39 * time.Second, 0},
		{"another rate", 10, 10, time.Second, 0},
		{"below another rate", 10, 1, time.Second / 5, 2 * time.Minute},
		{"off", -1, 1, time.Second, 0},
	} {
		t.Run(x.name, func(t *testing.T) {
			inTimeAtRate(t, 0, x.rate, func(b *bubbleTest) {
				n := int(5 * 61 * time.Second / x.pause)
				b.send(begin(1, 1), params(1, fmt.Sprint("CONTENT_LENGTH=", n*x.piece)))
				go func() {
					for range n {
						time.Sleep(x.pause)
						b.Write(stdin(1, strings.Repeat("x", x.piece)))
					}
				}()
				switch a := b.answer(1); {
				case x.end == 0:
					if !strings.HasPrefix(a.stdout, "Status: 200 ") {
						t.Errorf("got %q", a.stdout)
					}
					b.logged("")
				case !strings.HasPrefix(a.stdout, "Status: 408 "):
					t.Errorf("got %q", a.stdout)
				default:
					// A tick more of waiting counts for as much more as the body comes at
					// a part of the rate: at half of it, twice.
					slack := bubbleTick * (x.end / time.Minute)
					if d := time.Since(b.start); d < x.end-slack || d > x.end+slack {
						t.Errorf("ended after %v, the limit is %v", d, x.end)
					}
					b.logged("body_rate")
				}
				time.Sleep(time.Duration(n) * x.pause) // the one that sends
			})
		})
	}
	t.Run("only while somebody waits", func(t *testing.T) {
		inTimeAtRate(t, 0, 0, func(b *bubbleTest) {
			b.send(begin(1, 1), params(1, "CONTENT_LENGTH=3", "PAUSE=5m"))
			time.Sleep(bubbleBody - 2*bubbleTick)
			b.send(stdin(1, "x"))
			time.Sleep(4 * time.Minute)
			b.send(stdin(1, "xx"))
			if a := b.answer(1); !strings.HasPrefix(a.stdout, "Status: 200 ") {
				t.Errorf("got %q", a.stdout)
			}
			b.logged("")
		})
	})
}

// TestWriteInTime: a peer that takes nothing is given up, one that is slow is not.
func TestWriteInTime(t *testing.T) {
	large := "LARGE=" + strings.Repeat("x", 100)
	t.Run("nothing", func(t *testing.T) {
		inTime(t, 5000, func(b *bubbleTest) {
			b.send(get(1, 1, large))
			if err := <-b.cause; !errors.Is(err, cgi.ErrAborted) {
				t.Errorf("Write returned %v", err)
			}
			b.after(bubbleWrite)
			synctest.Wait()
			if log := b.logs.String(); !strings.Contains(log, "limit=write") {
				t.Errorf("log does not name the key: %s", log)
			}
		})
	})
	t.Run("late", func(t *testing.T) {
		inTime(t, 5000, func(b *bubbleTest) {
			b.send(get(1, 1, large))
			time.Sleep(bubbleWrite - 2*bubbleTick)
			if a := b.answer(1); len(bodyOf(t, a)) != 100_000 {
				t.Errorf("got %d bytes", len(a.stdout))
			}
			b.logged("")
		})
	})
}

// TestLingerInTime: what a peer still sends after its answer is taken for a while.
func TestLingerInTime(t *testing.T) {
	inTime(t, 0, func(b *bubbleTest) {
		b.send(begin(1, 0), params(1, "CONTENT_LENGTH=1000000", "UNREAD=1"), stdin(1, "x"))
		b.answer(1)
		b.closed()
		for {
			time.Sleep(bubbleTick)
			if _, err := b.Write(stdin(1, "x")); err != nil {
				break
			}
			if time.Since(b.start) > 3*bubbleLinger {
				t.Fatal("the connection is not closed")
			}
		}
		if d := time.Since(b.start); d < bubbleLinger-2*bubbleTick || d > bubbleLinger+3*bubbleTick {
			t.Errorf("ended after %v, the limit is %v", d, bubbleLinger)
		}
		b.logged("")
	})
}

// TestEvictionPassesHalfRequests: the oldest of idle connections may not be closed, as a record
// has begun to come on it. The next one is, to make room.
func TestEvictionPassesHalfRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ts := serve(t, "memory", &Server{App: hello, Limits: cgi.Limits{Connections: 2, Idle: time.Hour}})
		half := ts.dial()
		half.SetDeadline(time.Time{})
		half.send(get(1, 1)[:4])
		time.Sleep(2 * time.Second)
		idle := ts.dial()
		idle.send(get(1, 1))
		idle.answer(1)
		began := time.Now()
		next := ts.dial()
		next.SetDeadline(time.Now().Add(5 * time.Second))
		next.send(get(1, 1))
		if a := next.answer(1); a.stdout != helloAnswer || time.Since(began) > 2*time.Second {
			t.Errorf("got %+v, after %v", a, time.Since(began))
		}
		half.send(get(1, 1)[4:])
		if a := half.answer(1); a.stdout != helloAnswer {
			t.Errorf("the request that had begun got %+v", a)
		}
	})
}
