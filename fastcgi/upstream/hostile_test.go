package upstream

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/cgi"
	"gatehouse/cgi/cgitest"
	"gatehouse/fastcgi/client"
	"gatehouse/fastcgi/record"
	"gatehouse/internal/backend"
	"gatehouse/internal/testkit"
	"gatehouse/internal/testkit/peer"
)

// A record with padding.
func padded(t record.Type, id uint16, text string, padding int) []byte {
	b := record.AppendHeader(nil, t, id, len(text), padding)
	b = append(b, text...)
	return append(b, make([]byte, padding)...)
}

// TestHostile: whatever an application does, the client gets a response, or one that it can
// see is truncated.
func TestHostile(t *testing.T) {
	short := Limits{FirstByte: 50 * time.Millisecond, Silence: 80 * time.Millisecond}
	tests := []struct {
		name   string
		limits Limits
		serve  func(c *peer.Conn)
		status int
		body   string // its beginning
		end    cgi.End
		log    string // part of the error
	}{
		{"in pieces", Limits{}, func(c *peer.Conn) {
			c.Receive()
			for b := range bytes.SplitSeq(append(c.Stdout(peer.Head+"hello"), c.End(0, 0)...), nil) {
				c.Write(b)
			}
		}, 200, "hello", cgi.Complete, ""},
		{"before the request is read", Limits{}, func(c *peer.Conn) {
			c.ID = 1
			c.Respond("early")
			c.Wait()
		}, 200, "early", cgi.Complete, ""},
		{"padding of 255", Limits{}, func(c *peer.Conn) {
			c.Receive()
			c.Send(padded(record.Stdout, c.ID, peer.Head, 255), padded(record.Stdout, c.ID, "hello", 255), padded(record.Stdout, c.ID, "", 255),
				padded(record.EndRequest, c.ID, "\x00\x00\x00\x00\x00\x00\x00\x00", 255))
		}, 200, "hello", cgi.Complete, ""},
		{"two ends", Limits{Keep: 1}, func(c *peer.Conn) {
			c.Receive()
			c.Send(c.Stdout(peer.Head+"hello"), c.End(0, 0), c.End(0, 0))
			c.Wait()
		}, 200, "hello", cgi.Complete, ""},
		{"a management record in between", Limits{}, func(c *peer.Conn) {
			c.Receive()
			c.Send(c.Stdout(peer.Head), record.AppendUnknownType(nil, 17), c.Stdout("hello"), c.End(0, 0))
		}, 200, "hello", cgi.Complete, ""},
		{"stderr without end", Limits{StderrBytes: 100}, func(c *peer.Conn) {
			c.Receive()
			for range 100 {
				c.Send(c.Stderr(strings.Repeat("complaint\n", 1000)))
			}
			c.Respond("hello")
		}, 200, "hello", cgi.Complete, ""},
		{"a status", Limits{}, func(c *peer.Conn) {
			c.Receive()
			c.Send(c.Stdout(peer.Head+"hello"), c.End(7, 0))
		}, 200, "hello", cgi.Complete, ""},
		{"no end", Limits{}, func(c *peer.Conn) {
			c.Receive()
			c.Send(c.Stdout(peer.Head + "hello"))
		}, 502, "", cgi.Complete, "the connection ended after 33 bytes of the response: EOF"},
		{"no end of a long body", Limits{}, func(c *peer.Conn) {
			c.Receive()
			c.Send(c.Stdout(peer.Head + peer.Text(100_000)))
		}, 200, peer.Text(100), cgi.Truncated, "the connection ended after"},
		{"no end of what has a length", Limits{}, func(c *peer.Conn) {
			c.Receive()
			c.Send(c.Stdout("Content-Length: 100000\r\n\r\n" + peer.Text(100_000)))
		}, 200, peer.Text(100), cgi.Truncated, "the connection ended after"},
		{"an end in the head", Limits{}, func(c *peer.Conn) {
			c.Receive()
			c.Send(c.Stdout("Content-Type: te"), c.End(0, 0))
		}, 502, "", cgi.Complete, "no head"},
		{"nothing but an end", Limits{}, func(c *peer.Conn) {
			c.Receive()
			c.Send(c.End(0, 0))
		}, 502, "", cgi.Complete, "no head"},
		{"another id", Limits{}, func(c *peer.Conn) {
			c.Receive()
			c.ID++
			c.Respond("hello")
		}, 502, "", cgi.Complete, "FCGI_STDOUT record for id 2: no such request"},
		{"another id in the body", Limits{}, func(c *peer.Conn) {
			c.Receive()
			c.Send(c.Stdout(peer.Head + peer.Text(100_000)))
			c.ID++
			c.Respond("secret")
		}, 200, peer.Text(100), cgi.Truncated, "no such request"},
		{"HTTP", Limits{}, func(c *peer.Conn) {
			c.Receive()
			io.WriteString(c, "HTTP/1.1 400 Bad Request\r\n\r\n")
		}, 502, "", cgi.Complete, "record version is not 1"},
		{"a line that is no field", Limits{}, func(c *peer.Conn) {
			c.Receive()
			c.Send(c.Stdout("<html>\n\nhello"), c.End(0, 0))
		}, 502, "", cgi.Complete, "bad head"},
		{"a head without end", Limits{}, func(c *peer.Conn) {
			c.Receive()
			for c.Send(c.Stdout("X-Field: "+strings.Repeat("x", 10_000)+"\r\n")) == nil {
			}
		}, 502, "", cgi.Complete, "head is longer than head_bytes"},
		{"too long", Limits{}, func(c *peer.Conn) {
			c.Receive()
			for c.Send(c.Stdout("Content-Length: 5\r\n\r\nhello")) == nil {
			}
		}, 200, "hello", cgi.Complete, ""},
		{"refused", Limits{}, nil, 502, "", cgi.Complete, "connection refused: nobody listens there"},
		{"closed at once", Limits{}, func(c *peer.Conn) {}, 502, "", cgi.Complete, "fastcgi: "},
		{"closed after the request", Limits{}, func(c *peer.Conn) { c.Receive() }, 502, "", cgi.Complete, "the connection ended after 0 bytes"},
		{"overloaded", Limits{}, func(c *peer.Conn) {
			c.Receive()
			c.Send(c.End(0, record.Overloaded))
		}, 503, "", cgi.Complete, "FCGI_OVERLOADED"},
		{"one request at a time", Limits{}, func(c *peer.Conn) {
			c.Receive()
			c.Send(c.End(0, record.CantMpxConn))
		}, 503, "", cgi.Complete, "FCGI_CANT_MPX_CONN"},
		{"another role", Limits{}, func(c *peer.Conn) {
			c.Receive()
			c.Send(c.End(0, record.UnknownRole))
		}, 502, "", cgi.Complete, "FCGI_UNKNOWN_ROLE"},
		{"nothing", Limits{FirstByte: 50 * time.Millisecond}, func(c *peer.Conn) { c.Wait() }, 504, "", cgi.Complete, "first_byte of 50ms is over"},
		{"nothing read", short, func(c *peer.Conn) { <-c.Done }, 504, "", cgi.Complete, "is over"},
		{"nothing behind a long body", Limits{FirstByte: 50 * time.Millisecond}, func(c *peer.Conn) { c.Wait() }, 504, "", cgi.Complete, "first_byte of 50ms is over"},
		{"half a head", short, func(c *peer.Conn) {
			c.Receive()
			c.Send(c.Stdout("Content-"))
			c.Wait()
		}, 504, "", cgi.Complete, "is over"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var l net.Listener
			if tt.serve != nil {
				l = peer.New(t, "unix", tt.serve)
			} else {
				l = testkit.Listen(t, "tcp")
				l.Close()
			}
			a := newApp(t, tt.limits, l)
			vars := []string{}
			if tt.name == "nothing read" { // more than the buffers of the sockets hold
				vars = append(vars, "LONG="+peer.Text(900_000))
			}
			r := newRequest("GET", nil, vars...)
			if tt.name == "nothing behind a long body" {
				r = newRequest("POST", strings.NewReader(peer.Text(1<<20)))
			}
			got, log := run(t, a, r)
			if got.Head.Code != tt.status || got.Outcome.End != tt.end || tt.status == 200 && !strings.HasPrefix(got.Body.String(), tt.body) {
				t.Errorf("status %d, %v, %.60q; want %d, %v, %.60q", got.Head.Code, got.Outcome.End, got.Body.String(), tt.status, tt.end, tt.body)
			}
			if !strings.Contains(log.String(), tt.log) || (tt.log != "") != strings.Contains(log.String(), address(l)) {
				t.Errorf("the log lacks %q and %s:\n%s", tt.log, address(l), log)
			}
			if retry := got.Field("Retry-After"); (retry != "") != (tt.status == 503) {
				t.Errorf("Retry-After %q with status %d", retry, tt.status)
			}
			if strings.Contains(got.Body.String(), "secret") {
				t.Error("the response has what is not its own")
			}
			a.pool.Close()
			if load := a.Load(); load.Running != 0 {
				t.Errorf("%d connections are counted as in use", load.Running)
			}
		})
	}
}

// TestSlow: what comes too slowly is truncated.
func TestSlow(t *testing.T) {
	for name, drips := range map[string]bool{"silence": false, "run": true} {
		p := peer.New(t, "unix", func(c *peer.Conn) {
			c.Receive()
			c.Send(c.Stdout(peer.Head+peer.Text(100_000)), []byte{1, 6})
			for drips && c.Send(make([]byte, 6), c.Stdout("x"), []byte{1, 6}) == nil {
				time.Sleep(time.Millisecond)
			}
			c.Wait()
		})
		testkit.Longer(t, 50*time.Millisecond, func(t *testing.T, limit time.Duration) (early bool) {
			l := Limits{Silence: limit}
			if drips {
				l = Limits{Run: limit}
			}
			got, log := run(t, newApp(t, l, p), newRequest("GET", nil))
			if want := name + " of " + limit.String() + " is over"; !strings.Contains(log.String(), want) {
				t.Errorf("the log lacks %q:\n%s", want, log)
			}
			if got.Head.Code == http.StatusGatewayTimeout {
				return true
			}
			if got.Outcome.End != cgi.Truncated || got.Body.Len() < 50_000 {
				t.Errorf("%v after %d bytes", got.Outcome.End, got.Body.Len())
			}
			return false
		})
	}
}

// TestEndless: of a response without end nothing is kept, and it ends when the client leaves.
func TestEndless(t *testing.T) {
	p := peer.New(t, "unix", func(c *peer.Conn) {
		c.Receive()
		b := c.Stdout(peer.Text(60_000))
		for c.Send(c.Stdout(peer.Head)) == nil {
			if _, err := c.Write(b); err != nil {
				return
			}
		}
	})
	a := newApp(t, Limits{}, p)
	ctx, cancel := context.WithCancelCause(t.Context())
	r := newRequest("GET", nil)
	r.SetContext(ctx)
	var got counter
	got.enough = func() { cancel(cgi.ErrAborted) }
	(&cgi.Handler{Log: new(testkit.Log).Logger()}).Run(r, &got, a)
	if got.Outcome.End == cgi.Complete || got.n < 200<<20 {
		t.Errorf("%v after %d bytes", got.Outcome.End, got.n)
	}
}

// A counter is a sink that counts, and after 200 MiB calls enough.
type counter struct {
	cgitest.Recorder
	n      int
	enough func()
}

func (c *counter) Write(p []byte) (int, error) {
	if c.n += len(p); c.n >= 200<<20 {
		c.enough()
	}
	return len(p), nil
}

var cancelled = flag.Int("upstream.cancelled", 600, "requests of TestCancelled, half of them over each network")

// TestCancelled: requests whose clients leave, at whatever moment, leave nothing behind, and
// no response of theirs reaches anybody else.
func TestCancelled(t *testing.T) {
	left := errors.New("the client has left")
	for _, network := range []string{"unix", "tcp"} {
		p := peer.New(t, network, func(c *peer.Conn) {
			for n := 0; ; n++ {
				vars, _, err := c.Receive()
				if err != nil {
					return
				}
				switch vars["QUERY_STRING"] {
				case "silent":
					c.Records.Next() // ABORT_REQUEST, or the end
					c.Respond("secret")
				case "half":
					c.Send(c.Stdout(peer.Head + "secret"))
					c.Records.Next()
					c.Send(c.Stdout("secret"), c.End(0, 0))
				default:
					c.Respond("hello")
				}
			}
		})
		a := newApp(t, Limits{Keep: 4}, p)
		fds := testkit.Descriptors(t)
		for i := range *cancelled / 2 {
			query := []string{"silent", "half", "hello"}[i%3]
			ctx, cancel := context.WithCancelCause(t.Context())
			r := newRequest("GET", nil, "QUERY_STRING="+query)
			r.SetContext(ctx)
			leave := time.AfterFunc(time.Duration(i%5)*200*time.Microsecond, func() { cancel(left) })
			got, log := run(t, a, r)
			leave.Stop()
			cancel(left)
			if query != "hello" && got.Outcome.End == cgi.Complete && got.Head.Code == 200 {
				t.Errorf("%s: a complete response %q\n%s", query, got.Body.String(), log)
			}
			after, log := run(t, a, newRequest("GET", nil, "QUERY_STRING=hello"))
			wantOK(t, after, log, "hello")
		}
		a.Close()
		testkit.Until(t, "all descriptors are closed", func() bool { return testkit.Descriptors(t) <= fds })
	}
}

// TestShutdown: a request that a shutdown ends is refused as what may be tried again.
func TestShutdown(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	p := peer.New(t, "unix", func(c *peer.Conn) {
		c.Receive()
		cancel(cgi.ErrShutdown)
		c.Wait()
	})
	r := newRequest("GET", nil)
	r.SetContext(ctx)
	if got, log := run(t, newApp(t, Limits{}, p), r); got.Head.Code != http.StatusServiceUnavailable || got.Field("Retry-After") == "" {
		t.Errorf("status %d\n%s", got.Head.Code, log)
	}
}

// TestStaleConnection: a kept connection that the application has closed is no error, and one
// that it closes with the request on it is, because nobody knows whether it was begun.
func TestStaleConnection(t *testing.T) {
	requests := make(chan string, 10)
	closed := make(chan bool, 1)
	p := peer.New(t, "unix", func(c *peer.Conn) {
		for {
			vars, _, err := c.Receive()
			if err != nil {
				return
			}
			requests <- vars["QUERY_STRING"]
			switch vars["QUERY_STRING"] {
			case "leave":
				c.Respond("hello")
				c.Close()
				closed <- true
				return
			case "break":
				return
			}
			c.Respond("hello")
		}
	})
	a := newApp(t, Limits{Keep: 4}, p)
	for range 3 {
		got, log := run(t, a, newRequest("GET", nil, "QUERY_STRING=leave"))
		wantOK(t, got, log, "hello")
		<-closed
	}
	got, log := run(t, a, newRequest("GET", nil, "QUERY_STRING=stay"))
	wantOK(t, got, log, "hello")
	if got, _ := run(t, a, newRequest("GET", nil, "QUERY_STRING=break")); got.Head.Code != http.StatusBadGateway {
		t.Errorf("status %d, want 502", got.Head.Code)
	}
	var all []string
	for len(requests) > 0 {
		all = append(all, <-requests)
	}
	if got := strings.Join(all, " "); got != "leave leave leave stay break" {
		t.Errorf("the application was sent %q", got)
	}
}

// TestFewerProcesses: an application with one process, to which more connections are to be
// kept, serves all of several requests.
func TestFewerProcesses(t *testing.T) {
	var process sync.Mutex
	release := make(chan bool)
	p := peer.New(t, "unix", func(c *peer.Conn) {
		process.Lock()
		defer process.Unlock()
		for {
			if _, _, err := c.Receive(); err != nil {
				return
			}
			<-release
			c.Respond("hello")
		}
	})
	a := newApp(t, Limits{Keep: 4, FirstByte: testkit.Patience}, p)
	var clients sync.WaitGroup
	for range 4 {
		clients.Go(func() {
			got, log := run(t, a, newRequest("GET", nil))
			wantOK(t, got, log, "hello")
		})
	}
	testkit.Until(t, "all requests have their turn", func() bool { return a.Load().Running == 4 })
	close(release)
	clients.Wait()
	a.Close()
}

// TestNotSent: a kept connection that is found to be dead when nothing has been written to it
// is replaced, and the whole body sent on another.
func TestNotSent(t *testing.T) {
	for _, n := range []int{100, 1 << 20} {
		p := peer.New(t, "unix", func(c *peer.Conn) {
			if c.Number < 3 {
				<-c.Done
				return
			}
			_, body, _ := c.Receive()
			c.Respond(body)
		})
		a := newApp(t, Limits{Keep: 3}, p)
		if err := a.Prepare(); err != nil {
			t.Fatal(err)
		}
		var turns []backend.Turn
		for range 3 {
			turn, err := a.pool.Enter(t.Context(), "")
			if err != nil {
				t.Fatal(err)
			}
			if err := turn.Connect(t.Context()); err != nil {
				t.Fatal(err)
			}
			turns = append(turns, turn)
		}
		for _, turn := range turns {
			// Nothing can be written, but the peer has neither closed the connection nor sent
			// anything, so that it looks well.
			if err := turn.Conn.(*net.UnixConn).CloseWrite(); err != nil {
				t.Fatal(err)
			}
			turn.Keep(client.New(turn.Conn))
			turn.Leave()
		}
		got, log := run(t, a, newRequest("POST", strings.NewReader(peer.Text(n))))
		wantOK(t, got, log, peer.Text(n))
	}
}
