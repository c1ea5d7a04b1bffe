package upstream

import (
	"bytes"
	"context"
	"errors"
	"io"
	"maps"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"gatehouse/cgi"
	"gatehouse/cgi/cgitest"
	"gatehouse/fastcgi"
	"gatehouse/fastcgi/client"
	"gatehouse/fastcgi/record"
	"gatehouse/internal/testkit"
	"gatehouse/internal/testkit/peer"
)

// A pipeRecorder is a Recorder that takes what is in a pipe.
type pipeRecorder struct {
	cgitest.Recorder
	moved  int   // bytes it has taken
	refuse int   // so many bytes are taken, if it is not zero
	fails  error // what it returns for all others, instead of http.ErrNotSupported
}

// SendPipe implements frontend.PipeSink.
func (r *pipeRecorder) SendPipe(pipe, n int) (int, error) {
	if r.refuse > 0 && r.moved+n > r.refuse {
		if r.fails != nil {
			return 0, r.fails
		}
		return 0, http.ErrNotSupported
	}
	b := make([]byte, n)
	for got := 0; got < n; {
		m, err := unix.Read(pipe, b[got:])
		if err != nil {
			return got, err
		}
		got += m
	}
	r.moved += n
	return r.Body.Write(b)
}

// runPipe runs an App for a request whose front-end takes what is in a pipe.
func runPipe(app cgi.App, r *cgi.Request, got *pipeRecorder) *testkit.Log {
	var log testkit.Log
	(&cgi.Handler{Log: log.Logger()}).Run(r, got, app)
	return &log
}

// TestPipe: however a large response comes, it is what the application has sent, and what breaks
// off is truncated. Most of it is moved by a pipe.
func TestPipe(t *testing.T) {
	text := peer.Text(5 << 20)
	const large = record.MaxAligned
	// stdout is text in records of n bytes, with padding.
	stdout := func(c *peer.Conn, n, padding int) (b []byte) {
		for rest := text; len(rest) > 0; {
			m := min(n, len(rest))
			b = append(b, padded(record.Stdout, c.ID, rest[:m], padding)...)
			rest = rest[m:]
		}
		return b
	}
	tests := []struct {
		name  string
		serve func(c *peer.Conn)
		body  string // or its beginning
		end   cgi.End
		moved int // at least, or -1: nothing
		log   string
	}{
		{"large records", func(c *peer.Conn) {
			c.Send(c.Stdout(peer.Head), stdout(c, large, 0), c.End(0, 0))
		}, text, cgi.Complete, 4 << 20, ""},
		{"records of the largest size", func(c *peer.Conn) {
			c.Send(c.Stdout(peer.Head), stdout(c, record.MaxContent, 255), c.End(0, 0))
		}, text, cgi.Complete, 4 << 20, ""},
		{"padding of 255", func(c *peer.Conn) {
			c.Send(padded(record.Stdout, c.ID, peer.Head, 255), stdout(c, 40_000, 255), c.End(0, 0))
		}, text, cgi.Complete, 4 << 20, ""},
		{"in pieces", func(c *peer.Conn) {
			c.Send(c.Stdout(peer.Head))
			for b := append(stdout(c, large, 3), c.End(0, 0)...); len(b) > 0; {
				n := min(len(b), 23_456)
				c.Write(b[:n])
				b = b[n:]
			}
		}, text, cgi.Complete, 3 << 20, ""},
		{"in small pieces", func(c *peer.Conn) {
			c.Send(c.Stdout(peer.Head))
			for b := append(stdout(c, large, 3), c.End(0, 0)...); len(b) > 0; {
				n := min(len(b), 100)
				c.Write(b[:n])
				b = b[n:]
			}
		}, text, cgi.Complete, 0, ""},
		{"small records", func(c *peer.Conn) {
			c.Send(c.Stdout(peer.Head), stdout(c, 8184, 8), c.End(0, 0))
		}, text, cgi.Complete, -1, ""},
		{"stderr in between", func(c *peer.Conn) {
			b := stdout(c, large, 0)
			all := c.Stdout(peer.Head)
			for len(b) > 0 {
				n := min(len(b), record.HeaderLen+large)
				all = append(append(all, b[:n]...), c.Stderr("complaint\n")...)
				b = b[n:]
			}
			c.Send(all, c.Stderr(strings.Repeat("much\n", 20_000)), c.End(0, 0))
		}, text, cgi.Complete, 3 << 20, ""},
		{"small records in between", func(c *peer.Conn) {
			var all []byte
			for i, rest := 0, text; len(rest) > 0; i++ {
				n := min(len(rest), []int{large, 8, large, 300, large, 3000, large, 20_000}[i%8])
				all = append(all, padded(record.Stdout, c.ID, rest[:n], i%256)...)
				rest = rest[n:]
			}
			c.Send(c.Stdout(peer.Head), all, c.End(0, 0))
		}, text, cgi.Complete, 2 << 20, ""},
		{"a length", func(c *peer.Conn) {
			c.Send(c.Stdout("Content-Length: 5242880\r\n\r\n"), stdout(c, large, 0), c.End(0, 0))
		}, text, cgi.Complete, 4 << 20, ""},
		{"longer than its length", func(c *peer.Conn) {
			c.Send(c.Stdout("Content-Length: 5000000\r\n\r\n"), stdout(c, large, 0), c.End(0, 0))
		}, text[:5_000_000], cgi.Complete, 4 << 20, ""},
		{"without end longer than its length", func(c *peer.Conn) {
			c.Send(c.Stdout("Content-Length: 3000000\r\n\r\n"))
			for b := stdout(c, large, 0); c.Send(b) == nil; {
			}
		}, text[:3_000_000], cgi.Complete, 2 << 20, ""},
		{"shorter than its length", func(c *peer.Conn) {
			c.Send(c.Stdout("Content-Length: 5242881\r\n\r\n"), stdout(c, large, 0), c.End(0, 0))
		}, text, cgi.Truncated, 4 << 20, "Content-Length"},
		{"no end", func(c *peer.Conn) {
			c.Send(c.Stdout(peer.Head), stdout(c, large, 0))
		}, text, cgi.Truncated, 4 << 20, "the connection ended after 5242908 bytes"},
		{"broken off in a record", func(c *peer.Conn) {
			b := stdout(c, large, 0)
			c.Send(c.Stdout(peer.Head), b[:4<<20-100])
		}, text[:4_000_000], cgi.Truncated, 3 << 20, "unexpected EOF"},
		{"broken off in the padding", func(c *peer.Conn) {
			b := stdout(c, large, 200)
			c.Send(c.Stdout(peer.Head), b[:63*(record.HeaderLen+large+200)-100])
		}, text[:63*large], cgi.Truncated, 3 << 20, "unexpected EOF"},
		{"another id", func(c *peer.Conn) {
			c.Send(c.Stdout(peer.Head), stdout(c, large, 0))
			c.ID++
			c.Send(c.Stdout(strings.Repeat("secret", 10_000)), c.End(0, 0))
		}, text, cgi.Truncated, 3 << 20, "no such request"},
		{"behind the end of the stream", func(c *peer.Conn) {
			c.Send(c.Stdout(peer.Head), stdout(c, large, 0), record.AppendRecord(nil, record.Stdout, c.ID, nil), c.Stdout(strings.Repeat("secret", 10_000)), c.End(0, 0))
		}, text, cgi.Truncated, 3 << 20, "the stream has ended"},
		{"no record", func(c *peer.Conn) {
			c.Send(c.Stdout(peer.Head), stdout(c, large, 0), bytes.Repeat([]byte("secret"), 10_000))
		}, text, cgi.Truncated, 3 << 20, "record version is not 1"},
	}
	for _, network := range []string{"unix", "tcp"} {
		for _, tt := range tests {
			t.Run(network+"/"+tt.name, func(t *testing.T) {
				a := newApp(t, Limits{}, peer.New(t, network, func(c *peer.Conn) {
					c.Receive()
					tt.serve(c)
				}))
				var got pipeRecorder
				log := runPipe(a, newRequest("GET", nil), &got)
				if got.Head.Code != 200 || got.Outcome.End != tt.end {
					t.Errorf("status %d, %v; want %v", got.Head.Code, got.Outcome.End, tt.end)
				}
				body := got.Body.String()
				if strings.Contains(body, "secret") {
					t.Error("the response has what is not its own")
				}
				if tt.end == cgi.Truncated && len(body) > len(tt.body) {
					body = body[:len(tt.body)]
				}
				if body != tt.body {
					t.Errorf("%d bytes, or other ones; want %d", len(body), len(tt.body))
				}
				if got.moved < tt.moved || tt.moved < 0 && got.moved > 0 {
					t.Errorf("%d bytes were moved; want %d", got.moved, tt.moved)
				}
				if !strings.Contains(log.String(), tt.log) {
					t.Errorf("the log lacks %q:\n%s", tt.log, log)
				}
			})
		}
	}
}

// TestPipeRefused: a front-end that takes nothing from a pipe, or no more, gets all by Write.
func TestPipeRefused(t *testing.T) {
	text := peer.Text(3 << 20)
	a := newApp(t, Limits{Keep: 1}, peer.New(t, "unix", func(c *peer.Conn) {
		for {
			if _, _, err := c.Receive(); err != nil {
				return
			}
			c.Respond(text)
		}
	}))
	for _, refuse := range []int{1, 1 << 20, 0} {
		got := pipeRecorder{refuse: refuse}
		log := runPipe(a, newRequest("GET", nil), &got)
		wantOK(t, &got.Recorder, log, text)
	}
	got, log := run(t, a, newRequest("GET", nil))
	wantOK(t, got, log, text)
	head, log := run(t, a, newRequest("HEAD", nil))
	wantOK(t, head, log, "")
	lost := pipeRecorder{refuse: 1 << 20, fails: errors.New("the web server has left")}
	if runPipe(a, newRequest("GET", nil), &lost); lost.Outcome.End == cgi.Complete {
		t.Error("a response that the web server does not take is complete")
	}
	var again pipeRecorder // nothing of it comes here
	log = runPipe(a, newRequest("GET", nil), &again)
	wantOK(t, &again.Recorder, log, text)
}

// TestPipeDescriptors: the pipes of responses are kept for others, a few of them, and closed with
// the App. Where there is no descriptor for one, the response is copied.
func TestPipeDescriptors(t *testing.T) {
	text := peer.Text(1 << 20)
	p := peer.New(t, "unix", func(c *peer.Conn) {
		c.Receive()
		c.Respond(text)
	})
	fds := testkit.Descriptors(t)
	a := newApp(t, Limits{}, p)
	for range 20 {
		var got pipeRecorder
		log := runPipe(a, newRequest("GET", nil), &got)
		wantOK(t, &got.Recorder, log, text)
	}
	a.Close()
	testkit.Until(t, "all descriptors are closed", func() bool { return testkit.Descriptors(t) <= fds })
}

// TestPipeSilence: an application that falls silent in a large record is not waited for longer
// than Silence, and one that only pauses there has its response completed.
func TestPipeSilence(t *testing.T) {
	text := peer.Text(1 << 20)
	for _, pauses := range []bool{true, false} {
		p := peer.New(t, "unix", func(c *peer.Conn) {
			c.Receive()
			b := append(c.Stdout(peer.Head+text), c.End(0, 0)...)
			cut := len(b) - 50_000
			c.Write(b[:cut])
			if pauses {
				time.Sleep(20 * time.Millisecond) // longer than output is held back
				c.Write(b[cut:])
			}
			c.Wait()
		})
		testkit.Longer(t, 50*time.Millisecond, func(t *testing.T, limit time.Duration) (early bool) {
			l := Limits{Silence: limit}
			if pauses {
				l = Limits{}
			}
			var got pipeRecorder
			log := runPipe(newApp(t, l, p), newRequest("GET", nil), &got)
			if pauses {
				wantOK(t, &got.Recorder, log, text)
				return false
			}
			if got.Head.Code == http.StatusGatewayTimeout {
				return true
			}
			if got.Outcome.End != cgi.Truncated || !strings.Contains(log.String(), "silence of "+limit.String()+" is over") {
				t.Errorf("%v\n%s", got.Outcome.End, log)
			}
			return false
		})
	}
}

// TestPipeCancelled: a request that is cancelled in the midst of a record that is moved ends at
// once, and leaves nothing behind.
func TestPipeCancelled(t *testing.T) {
	left := errors.New("the client has left")
	for _, network := range []string{"unix", "tcp"} {
		half := make(chan bool)
		p := peer.New(t, network, func(c *peer.Conn) {
			c.Receive()
			b := c.Stdout(peer.Head + peer.Text(1<<20))
			c.Write(b[:len(b)-10_000])
			half <- true
			c.Wait()
		})
		fds := testkit.Descriptors(t)
		a := newApp(t, Limits{Keep: 4}, p)
		for range 20 {
			ctx, cancel := context.WithCancelCause(t.Context())
			go func() {
				<-half
				cancel(left)
			}()
			r := newRequest("GET", nil)
			r.SetContext(ctx)
			var got pipeRecorder
			if runPipe(a, r, &got); got.Head.Code == 200 && got.Outcome.End == cgi.Complete {
				t.Error("a cancelled response is complete")
			}
		}
		a.Close()
		testkit.Until(t, "all descriptors are closed", func() bool { return testkit.Descriptors(t) <= fds })
	}
}

// TestPipeToFastCGI moves large responses on to a web server over FastCGI, to several at once,
// one of which takes nothing until the others have theirs.
func TestPipeToFastCGI(t *testing.T) {
	text := peer.Text(20 << 20)
	for _, network := range []string{"unix", "tcp"} {
		p := peer.New(t, network, func(c *peer.Conn) {
			for {
				if _, _, err := c.Receive(); err != nil {
					return
				}
				b := c.Stdout(peer.Head + text)
				c.Send(c.Stderr("complaint"), b, c.End(0, 0))
			}
		})
		l := testkit.Listen(t, network)
		a := newApp(t, Limits{Keep: 1}, p)
		testkit.Serve(t, &fastcgi.Server{App: a, Log: new(testkit.Log).Logger()}, l, fastcgi.ErrServerClosed)
		do := func() *client.Response {
			c, err := client.Dial(t.Context(), l.Addr().Network(), l.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { c.Close() })
			resp, err := c.Do(t.Context(), &client.Request{})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { resp.Close() })
			return resp
		}
		slow := do()
		for range 3 {
			b, err := io.ReadAll(do())
			if err != nil || string(b) != text {
				t.Errorf("%s: %d bytes, %v", network, len(b), err)
			}
		}
		b, err := io.ReadAll(slow)
		if err != nil || string(b) != text {
			t.Errorf("%s: %d bytes for the slow one, %v", network, len(b), err)
		}
	}
}

// TestPipeSiblings: large responses that are moved to one connection of a web server, at once,
// each have their own bytes.
func TestPipeSiblings(t *testing.T) {
	const size = 3 << 20
	own := func(query string) string { return strings.Repeat(query, size/len(query)) }
	p := peer.New(t, "unix", func(c *peer.Conn) {
		vars, _, err := c.Receive()
		if err != nil {
			return
		}
		c.Respond(own(vars["QUERY_STRING"]))
	})
	l := testkit.Listen(t, "unix")
	testkit.Serve(t, &fastcgi.Server{App: newApp(t, Limits{}, p), Log: new(testkit.Log).Logger()}, l, fastcgi.ErrServerClosed)
	c, err := client.Dial(t.Context(), "unix", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var readers sync.WaitGroup
	for _, query := range []string{"first", "second", "third", "fourth"} {
		readers.Go(func() {
			resp, err := c.Do(t.Context(), &client.Request{KeepConn: true, Params: maps.All(map[string]string{"QUERY_STRING": query, "REQUEST_METHOD": "GET"})})
			if err != nil {
				t.Error(err)
				return
			}
			defer resp.Close()
			if b, err := io.ReadAll(resp); err != nil || string(b) != own(query) {
				t.Errorf("%s: %d bytes, or other ones, %v", query, len(b), err)
			}
		})
	}
	readers.Wait()
}

// TestPipeUntaken: a web server that takes nothing of a response that is moved is not waited for
// longer than the limit for that, and the application's connection ends with it.
func TestPipeUntaken(t *testing.T) {
	for _, network := range []string{"unix", "tcp"} {
		ended := make(chan error, 1)
		p := peer.New(t, network, func(c *peer.Conn) {
			c.Receive()
			ended <- c.Send(c.Stdout(peer.Head + peer.Text(100<<20)))
		})
		fds := testkit.Descriptors(t)
		l := testkit.Listen(t, network)
		a := newApp(t, Limits{}, p)
		s := &fastcgi.Server{App: a, Limits: cgi.Limits{Write: 50 * time.Millisecond}, Log: new(testkit.Log).Logger()}
		testkit.Serve(t, s, l, fastcgi.ErrServerClosed)
		c, err := client.Dial(t.Context(), l.Addr().Network(), l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Begin(t.Context(), &client.Request{}); err != nil {
			t.Fatal(err)
		}
		if err := testkit.Receive(t, "the end of the response", ended); err == nil {
			t.Errorf("%s: the gateway has taken all", network)
		}
		testkit.Until(t, "no connection is in use", func() bool { return a.Load().Running == 0 })
		c.Close()
		s.Close()
		a.Close()
		testkit.Until(t, "all descriptors are closed", func() bool { return testkit.Descriptors(t) <= fds })
	}
}
