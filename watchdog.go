package gatehouse

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"time"

	"gatehouse/cgi"
	"gatehouse/fastcgi/record"
	"gatehouse/scgi"
)

// keepAlive calls alive every half of limit, from now on, until ctx is done, as long as
// check succeeds. check is asked again soon when it fails; failed gets the first error of
// several in a row.
func keepAlive(ctx context.Context, limit time.Duration, check func(context.Context) error, alive func(), failed func(error)) {
	t := time.NewTimer(0)
	defer t.Stop()
	failing := false
	for {
		select {
		case <-t.C:
		case <-ctx.Done():
			return
		}
		begun := time.Now()
		bounded, cancel := context.WithTimeout(ctx, limit/4)
		err := check(bounded)
		cancel()
		switch {
		case err == nil:
			alive()
			t.Reset(limit/2 - time.Since(begun))
		case ctx.Err() != nil:
			return
		default:
			if !failing {
				failed(err)
			}
			t.Reset(limit / 20)
		}
		failing = err != nil
	}
}

// aliveBody is what the application of a selfCheck responds.
const aliveBody = "gatehouse is alive"

// A selfCheck serves the connections of the watchdog, on front-ends like those that serve
// everybody but with an application of its own: no limit, queue or slow application stands
// in its way, and no log or counter sees its requests.
type selfCheck struct {
	mu     sync.Mutex
	queues map[Protocol]*connQueue
	fronts []frontEnd
	ended  sync.WaitGroup
}

// queue returns the function that passes connections of a protocol to its front-end.
func (c *selfCheck) queue(p Protocol) func(net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	q := c.queues[p]
	if q == nil {
		q = &connQueue{conns: make(chan net.Conn, maxProbes), closed: make(chan struct{})}
		if c.queues == nil {
			c.queues = make(map[Protocol]*connQueue)
		}
		c.queues[p] = q
		s := &Server{Log: slog.New(slog.DiscardHandler), App: cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
			if err := w.StartResponse("200 OK", nil); err != nil {
				return err
			}
			_, err := io.WriteString(w, aliveBody)
			return err
		})}
		limits := s.Limits.WithDefaults()
		f := s.frontEnd(Endpoint{Protocol: p}, limits, s.handler(limits), nil)
		c.fronts = append(c.fronts, f)
		c.ended.Go(func() { f.Serve(q) })
	}
	return q.put
}

// close ends the front-ends.
func (c *selfCheck) close() {
	now, cancel := context.WithCancel(context.Background())
	cancel()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, f := range c.fronts {
		f.Shutdown(now)
	}
	for _, q := range c.queues {
		q.Close()
	}
	c.ended.Wait()
}

// exchange sends a request of protocol p, and returns an error if the response is not that
// of a selfCheck.
func exchange(ctx context.Context, p Protocol, c net.Conn) error {
	if end, ok := ctx.Deadline(); ok {
		c.SetDeadline(end)
	}
	defer context.AfterFunc(ctx, func() { c.SetDeadline(time.Unix(1, 0)) })()
	if _, err := c.Write(selfCheckRequest(p)); err != nil {
		return fmt.Errorf("its request cannot be sent: %w", err)
	}
	response, err := io.ReadAll(io.LimitReader(c, 64<<10))
	switch {
	case bytes.Contains(response, []byte(aliveBody)):
		return nil
	case err != nil:
		return fmt.Errorf("its request gets no response: %w", err)
	}
	return errors.New("its request gets a wrong response")
}

// selfCheckRequest returns a request with which its connection ends.
func selfCheckRequest(p Protocol) []byte {
	pairs := [][2]string{{"CONTENT_LENGTH", "0"}, {"SCGI", "1"}, {"REQUEST_METHOD", "GET"}, {"REQUEST_URI", "/"},
		{"SCRIPT_NAME", "/"}, {"SERVER_PROTOCOL", "HTTP/1.0"}}
	switch p {
	case FastCGI:
		var params []byte
		for _, v := range pairs {
			params = record.AppendPair(params, v[0], v[1])
		}
		b := record.AppendBegin(nil, 1, record.Responder, 0)
		b = record.AppendStream(b, record.Params, 1, params)
		b = record.AppendRecord(b, record.Params, 1, nil)
		return record.AppendRecord(b, record.Stdin, 1, nil)
	case SCGI:
		var block []byte
		for _, v := range pairs {
			block = fmt.Appendf(block, "%s\x00%s\x00", v[0], v[1])
		}
		return scgi.AppendNetstring(nil, block)
	}
	return []byte("GET / HTTP/1.0\r\n\r\n")
}

// maxProbes bounds the connections of a connQueue that nobody has accepted.
const maxProbes = 64

// A connQueue is a listener for connections that are put into it.
type connQueue struct {
	conns  chan net.Conn
	once   sync.Once
	closed chan struct{}
}

// put closes c if too many connections are queued.
func (q *connQueue) put(c net.Conn) {
	select {
	case q.conns <- c:
	default:
		c.Close()
	}
}

func (q *connQueue) Accept() (net.Conn, error) {
	select {
	case c := <-q.conns:
		return c, nil
	case <-q.closed:
		return nil, net.ErrClosed
	}
}

// Close closes what is queued, too.
func (q *connQueue) Close() error {
	q.once.Do(func() { close(q.closed) })
	for {
		select {
		case c := <-q.conns:
			c.Close()
		default:
			return nil
		}
	}
}

func (q *connQueue) Addr() net.Addr { return &net.UnixAddr{Net: "unix", Name: "@self-check"} }
