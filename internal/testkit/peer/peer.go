// Package peer has FastCGI applications for tests: they do with each connection what the
// test says.
package peer

import (
	"bytes"
	"context"
	"io"
	"net"
	"strings"
	"sync"
	"testing"

	"gatehouse/fastcgi/record"
	"gatehouse/internal/testkit"
)

// Head is the head of a response.
const Head = "Content-Type: text/plain\r\n\r\n"

// A Peer is a FastCGI application that does as the test says with each connection.
type Peer struct {
	net.Listener
	t     testing.TB
	serve func(c *Conn)
	done  sync.WaitGroup
}

// A Conn is a connection that a peer has accepted.
type Conn struct {
	net.Conn
	Records *record.Reader
	ID      uint16          // of the request
	Number  int             // of the connection, from 0
	Done    <-chan struct{} // closed when the test ends
}

// New starts a peer, which ends with the test. serve is called on a goroutine for each
// connection, which is closed when it returns.
func New(t testing.TB, network string, serve func(c *Conn)) *Peer {
	t.Helper()
	p := &Peer{Listener: testkit.Listen(t, network), t: t, serve: serve}
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
				p.serve(&Conn{Conn: nc, Records: record.NewReader(nc), Number: n, Done: ctx.Done()})
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

// Receive reads a request to the end of its STDIN, and returns its variables and its body.
func (c *Conn) Receive() (vars map[string]string, body string, err error) {
	var params, stdin []byte
	for {
		h, content, err := c.Records.Next()
		if err != nil {
			return nil, "", err
		}
		switch h.Type() {
		case record.BeginRequest:
			c.ID = h.ID()
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

// Send sends records.
func (c *Conn) Send(records ...[]byte) error {
	_, err := c.Write(bytes.Join(records, nil))
	return err
}

func (c *Conn) Stdout(text string) []byte {
	return record.AppendStream(nil, record.Stdout, c.ID, []byte(text))
}

func (c *Conn) Stderr(text string) []byte {
	return record.AppendStream(nil, record.Stderr, c.ID, []byte(text))
}

func (c *Conn) End(appStatus uint32, ps record.ProtocolStatus) []byte {
	return record.AppendEndRequest(nil, c.ID, appStatus, ps)
}

// Respond sends a whole response.
func (c *Conn) Respond(text string) error {
	return c.Send(c.Stdout(Head+text), c.End(0, record.RequestComplete))
}

// Hello responds to requests until the connection ends.
func Hello(c *Conn) {
	for {
		if _, _, err := c.Receive(); err != nil || c.Respond("hello") != nil {
			return
		}
	}
}

// Wait returns when the connection has ended.
func (c *Conn) Wait() { io.Copy(io.Discard, c) }

// Text returns n bytes that repeat with no power of two.
func Text(n int) string { return strings.Repeat("0123456789abcdefghi\n", n/20+1)[:n] }
