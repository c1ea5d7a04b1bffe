package frontend

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/cgi"
	"gatehouse/internal/testkit"
)

// A silent listener accepts nothing.
type silent struct {
	open  context.Context
	close func()
}

func (l *silent) Accept() (net.Conn, error) { <-l.open.Done(); return nil, net.ErrClosed }
func (l *silent) Close() error              { l.close(); return nil }
func (l *silent) Addr() net.Addr            { return &net.UnixAddr{Name: "s", Net: "unix"} }

// A kind of line is logged at once, and then as a number for each interval, as long as it goes
// on. Nothing is missing after Close.
func TestFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := new(testkit.Log)
		a := &Acceptor{Log: log.Logger()}
		served := make(chan error, 1)
		open, end := context.WithCancel(t.Context())
		go func() { served <- a.Serve(&silent{open, end}) }()
		synctest.Wait()
		expect := func(want ...string) {
			t.Helper()
			synctest.Wait()
			var got []string
			for line := range strings.Lines(log.String()) {
				_, line, _ = strings.Cut(line, "msg=")
				got = append(got, strings.TrimSpace(line))
			}
			if g, w := strings.Join(got, "\n"), strings.Join(want, "\n"); g != w {
				t.Errorf("got\n%s\nwant\n%s", g, w)
			}
			log.Reset()
		}
		for i := range 1000 {
			a.Warn("bad", "peer", i)
			time.Sleep(time.Millisecond)
		}
		expect("bad peer=0")
		a.Warn("worse", "peer", 7)
		expect("worse peer=7")
		time.Sleep(floodInterval)
		expect("bad peer=999 times=999")
		a.Warn("worse", "peer", 8) // its interval has ended
		expect("worse peer=8")
		a.Warn("bad", "peer", 1)
		time.Sleep(floodInterval)
		expect("bad peer=1 times=1")
		time.Sleep(2 * floodInterval)
		expect()
		a.Warn("bad", "peer", 2)
		a.Warn("bad", "peer", 3)
		a.Warn("bad", "peer", 4)
		expect("bad peer=2")
		a.Close(errors.New("closed"))
		<-served
		expect("bad peer=4 times=2")
	})
}

// What was logged for a peer is not logged for the request.
func TestRefusal(t *testing.T) {
	log := new(testkit.Log)
	a := &Acceptor{Log: log.Logger()}
	err := a.Refusal(&cgi.StatusError{Code: 400, Err: errors.New("why")}, "p")
	rec := new(discardSink)
	h := &cgi.Handler{Log: log.Logger()}
	res := h.Refuse(&cgi.Request{Env: cgi.NewEnviron()}, rec, err)
	if got := log.String(); res.Code != 400 || strings.Count(got, "\n") != 1 || !strings.Contains(got, "peer=p status=400 error=why") {
		t.Errorf("status %d, log %s", res.Code, got)
	}
}

type discardSink struct{}

func (discardSink) WriteHead(*cgi.Head) error   { return nil }
func (discardSink) Write(p []byte) (int, error) { return len(p), nil }
func (discardSink) Flush() error                { return nil }
func (discardSink) Finish(cgi.Outcome) error    { return nil }
