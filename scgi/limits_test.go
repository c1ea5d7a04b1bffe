package scgi

import (
	"errors"
	"io"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"gatehouse/cgi"
	"gatehouse/internal/testkit"
)

// short is a limit that passes at the next tick.
const short = time.Millisecond

func TestIdleEndsASlowHead(t *testing.T) {
	each(t, func(t *testing.T, network string) {
		testkit.Longer(t, short, func(t *testing.T, limit time.Duration) bool {
			b := request("", "A="+strings.Repeat("v", 40000))
			s := serve(t, network, &Server{App: refuseToRun(t), Limits: cgi.Limits{Idle: limit}})
			sizes := []int{0, 1, 3, 20, 16 << 10, 20000, len(b) - 1}
			var clients []*client
			for _, n := range sizes {
				c := s.dial(t)
				c.Write(b[:n])
				clients = append(clients, c)
			}
			for i, c := range clients {
				if got, _ := io.ReadAll(c); len(got) > 0 {
					t.Errorf("%d bytes of a head were answered with %q", sizes[i], got)
				}
			}
			s.Shutdown(t.Context())
			// The one that sent nothing is not worth a line.
			log := s.log.String()
			lines, m := strings.Count(log, "broke off in its head"), strings.Count(log, "(idle)")
			n := lines
			for _, times := range regexp.MustCompile(`times=(\d+)`).FindAllStringSubmatch(log, -1) {
				more, _ := strconv.Atoi(times[1])
				n += more - 1
			}
			if n > len(sizes)-1 || m != lines {
				t.Errorf("%d lines for %d heads, %d with their reason, want %d: %s", lines, n, m, len(sizes)-1, log)
			}
			return n < len(sizes)-1 // what was sent has not been read
		})
	})
}

func TestPeerLeavesInItsHead(t *testing.T) {
	each(t, func(t *testing.T, network string) {
		b := request("", "A="+strings.Repeat("v", 40000))
		for _, n := range []int{0, 1, 3, 20, 16 << 10, 20000, len(b) - 1} {
			s := serve(t, network, &Server{App: refuseToRun(t)})
			c := s.dial(t).send(b[:n]).closeWrite()
			if got, _ := io.ReadAll(c); len(got) > 0 {
				t.Errorf("%d bytes of a head were answered with %q", n, got)
			}
			s.Shutdown(t.Context())
			if n > 0 {
				oneLine(t, &s.log, "broke off in its head", "unexpected EOF")
			} else if log := s.log.String(); log != "" {
				t.Errorf("a connection without a byte was logged: %s", log)
			}
		}
	})
}

func TestBodyReadIs408(t *testing.T) {
	each(t, func(t *testing.T, network string) {
		for _, part := range []string{"", "hell"} {
			s := serve(t, network, &Server{App: cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
				b, err := io.ReadAll(r.Body)
				if _, again := r.Body.Read(make([]byte, 1)); again != err {
					t.Errorf("the next Read returned %v", again)
				}
				var status *cgi.StatusError
				if !errors.As(err, &status) || status.Code != 408 || string(b) != part {
					t.Errorf("read %q, error %v", b, err)
				}
				return err
			}), Limits: cgi.Limits{BodyRead: short, Linger: short}})
			wantStatus(t, s.dial(t).send(append(head("CONTENT_LENGTH=5", "SCGI=1"), part...)).answer(), "408 Request Timeout")
			s.Shutdown(t.Context())
			oneLine(t, &s.log, "body_read", "status=408")
		}
	})
}

// TestBodyReadCountsOnlyWaiting: an application that takes its time does not use
// up the peer's.
func TestBodyReadCountsOnlyWaiting(t *testing.T) {
	each(t, func(t *testing.T, network string) {
		const limit = 2 * time.Second
		running, goOn := make(chan struct{}), make(chan struct{})
		s := serve(t, network, &Server{App: cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
			close(running)
			<-goOn
			b, err := io.ReadAll(r.Body)
			if err != nil {
				return err
			}
			return text(w, string(b))
		}), Limits: cgi.Limits{BodyRead: limit}})
		c := s.dial(t).send(head("CONTENT_LENGTH=5", "SCGI=1"))
		testkit.Receive(t, "starting the application", running)
		began := s.acceptor.Now()
		testkit.Until(t, "the limit", func() bool { return s.acceptor.Now() > began+limit })
		c.send([]byte("hello"))
		close(goOn)
		wantBody(t, c.answer(), "hello")
	})
}

func TestWriteEndsForAPeerThatTakesNothing(t *testing.T) {
	each(t, func(t *testing.T, network string) {
		done := make(chan error, 1)
		s := serve(t, network, &Server{App: cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
			ctx := r.Context()
			err := text(w, strings.Repeat("x", 64<<20))
			<-ctx.Done()
			done <- err
			return err
		}), Limits: cgi.Limits{Write: short}})
		c := s.dial(t).send(request(""))
		if err := testkit.Receive(t, "writing", done); !errors.Is(err, cgi.ErrAborted) || !strings.Contains(err.Error(), "(write)") {
			t.Errorf("writing ended with %v", err)
		}
		if b, err := io.ReadAll(c); err == nil {
			t.Errorf("the answer of %d bytes looks whole", len(b))
		}
	})
}

// TestLingerEnds: a peer that neither closes nor sends the rest of its body is not
// waited for longer than Limits.Linger.
func TestLingerEnds(t *testing.T) {
	each(t, func(t *testing.T, network string) {
		s := serve(t, network, &Server{App: hello, Limits: cgi.Limits{Linger: short}})
		c := s.dial(t).send(append(head("CONTENT_LENGTH=5", "SCGI=1"), "he"...))
		wantBody(t, c.answer(), "hello")
		if err := s.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// TestRandomBytes throws what is no SCGI at a server, which must go on.
func TestRandomBytes(t *testing.T) {
	each(t, func(t *testing.T, network string) {
		s := serve(t, network, &Server{App: hello})
		seed := uint32(1)
		for range 200 {
			b := make([]byte, seed%3000)
			for i := range b {
				seed = seed*1664525 + 1013904223
				b[i] = byte(seed >> 24)
			}
			seed = seed*1664525 + 1013904223
			c := s.dial(t)
			c.Write(b)
			c.closeWrite()
			got, _ := io.ReadAll(c)
			if len(got) > 0 && !strings.HasPrefix(string(got), "Status: 4") {
				t.Errorf("%q was answered with %q", b, got)
			}
			c.Close()
		}
		wantBody(t, s.do(t, request("")), "hello")
	})
}
