package upstream

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"

	"gatehouse/cgi"
	"gatehouse/cgi/cgitest"
	"gatehouse/fastcgi"
	"gatehouse/fastcgi/record"
	"gatehouse/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// newApp returns an App for the addresses of listeners, which is closed when the test ends.
func newApp(t testing.TB, l Limits, listeners ...net.Listener) *App {
	t.Helper()
	a := &App{Limits: l, Log: slog.New(slog.DiscardHandler)}
	for _, l := range listeners {
		a.Addresses = append(a.Addresses, address(l))
	}
	t.Cleanup(func() { a.Close() })
	return a
}

func address(l net.Listener) string {
	if l.Addr().Network() == "unix" {
		return "unix:" + l.Addr().String()
	}
	return l.Addr().String()
}

// serve serves an App by FastCGI.
func serve(t testing.TB, network string, app cgi.App) net.Listener {
	t.Helper()
	l := testkit.Listen(t, network)
	testkit.Serve(t, &fastcgi.Server{App: app, Authorizer: app, Filter: app, Log: slog.New(slog.DiscardHandler)}, l, fastcgi.ErrServerClosed)
	return l
}

// A client is a request with its body, which is of unknown length if the body has no Len.
func newRequest(method string, body io.Reader, vars ...string) *cgi.Request {
	r := cgitest.NewRequest(cgi.NewEnviron(append(vars, "REQUEST_METHOD="+method)...))
	if body == nil {
		return r
	}
	r.Body, r.ContentLength = body, -1
	if known, ok := body.(interface{ Len() int }); ok {
		r.ContentLength = int64(known.Len())
	}
	return r
}

// run runs an App for a request.
func run(t testing.TB, app cgi.App, r *cgi.Request) (*cgitest.Recorder, *testkit.Log) {
	t.Helper()
	var got cgitest.Recorder
	var log testkit.Log
	(&cgi.Handler{Log: log.Logger()}).Run(r, &got, app)
	return &got, &log
}

// A peer is a FastCGI application that does as the test says with each connection.
type peer struct {
	net.Listener
	t     testing.TB
	serve func(c *peerConn)
	done  sync.WaitGroup
}

// A peerConn is a connection that a peer has accepted.
type peerConn struct {
	net.Conn
	records *record.Reader
	id      uint16
	number  int             // of the connection, from 0
	done    <-chan struct{} // closed when the test ends
}

// newPeer starts a peer, which ends with the test. serve is called on a goroutine for each
// connection, which is closed when it returns.
func newPeer(t testing.TB, network string, serve func(c *peerConn)) *peer {
	t.Helper()
	p := &peer{Listener: testkit.Listen(t, network), t: t, serve: serve}
	ctx, cancel := context.WithCancel(context.Background())
	p.done.Go(func() {
		for n := 0; ; n++ {
			nc, err := p.Accept()
			if err != nil {
				return
			}
			p.done.Go(func() {
				defer context.AfterFunc(ctx, func() { nc.Close() })()
				defer nc.Close()
				p.serve(&peerConn{Conn: nc, records: record.NewReader(nc), number: n, done: ctx.Done()})
			})
		}
	})
	t.Cleanup(func() {
		p.Close()
		cancel()
		p.done.Wait()
	})
	return p
}

// receive reads a request to the end of its STDIN, and returns its variables and its body.
func (c *peerConn) receive() (vars map[string]string, body string, err error) {
	var params, stdin []byte
	for {
		h, content, err := c.records.Next()
		if err != nil {
			return nil, "", err
		}
		switch h.Type() {
		case record.BeginRequest:
			c.id = h.ID()
		case record.Params:
			params = append(params, content...)
		case record.Stdin:
			if len(content) == 0 {
				vars = make(map[string]string)
				for len(params) > 0 {
					name, value, rest, err := record.NextPair(params)
					if err != nil {
						return nil, "", err
					}
					vars[string(name)], params = string(value), rest
				}
				return vars, string(stdin), nil
			}
			stdin = append(stdin, content...)
		}
	}
}

// send sends records.
func (c *peerConn) send(records ...[]byte) error {
	_, err := c.Write(bytes.Join(records, nil))
	return err
}

func (c *peerConn) stdout(text string) []byte {
	return record.AppendStream(nil, record.Stdout, c.id, []byte(text))
}

func (c *peerConn) stderr(text string) []byte {
	return record.AppendStream(nil, record.Stderr, c.id, []byte(text))
}

func (c *peerConn) end(appStatus uint32, ps record.ProtocolStatus) []byte {
	return record.AppendEndRequest(nil, c.id, appStatus, ps)
}

// respond sends a whole response.
func (c *peerConn) respond(text string) error {
	return c.send(c.stdout("Content-Type: text/plain\r\n\r\n"+text), c.end(0, record.RequestComplete))
}

// hello responds to requests until the connection ends.
func hello(c *peerConn) {
	for {
		if _, _, err := c.receive(); err != nil || c.respond("hello") != nil {
			return
		}
	}
}

// wait returns when the connection has ended.
func (c *peerConn) wait() { io.Copy(io.Discard, c) }

// wantOK fails the test unless the response is complete, with that body.
func wantOK(t testing.TB, got *cgitest.Recorder, log *testkit.Log, body string) {
	t.Helper()
	if got.Head.Code != 200 || got.Body.String() != body || got.Outcome.End != cgi.Complete {
		t.Errorf("status %d, %d bytes %.60q, %v; want %d bytes %.60q\n%s", got.Head.Code, got.Body.Len(), got.Body.String(), got.Outcome.End, len(body), body, log)
	}
}

// text returns n bytes that repeat with no power of two.
func text(n int) string { return strings.Repeat("0123456789abcdefghi\n", n/20+1)[:n] }
