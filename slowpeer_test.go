package gatehouse_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse"
	"gatehouse/cgi"
	"gatehouse/fastcgi/record"
	"gatehouse/internal/testkit"
	"gatehouse/scgi"
)

// A pipeListener accepts one end of a net.Pipe, so that a test can be in a bubble.
type pipeListener struct {
	conns  chan net.Conn
	once   sync.Once
	closed chan struct{}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error   { l.once.Do(func() { close(l.closed) }); return nil }
func (l *pipeListener) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "unix"} }

// TestSlowPeers: a peer that sends a byte a second holds a connection for no longer than
// the limits say, over each protocol, whatever part of its request it has come to.
func TestSlowPeers(t *testing.T) {
	const length = 1000
	fields := fmt.Sprintf("CONTENT_LENGTH\x00%d\x00SCGI\x001\x00X\x00%s\x00", length, strings.Repeat("x", 200))
	variables := record.AppendPair(nil, "CONTENT_LENGTH", fmt.Sprint(length))
	variables = record.AppendPair(variables, "X", strings.Repeat("x", 100))
	head := map[gatehouse.Protocol][]byte{
		gatehouse.FastCGI: record.AppendRecord(record.AppendRecord(record.AppendBegin(nil, 1, record.Responder, 0),
			record.Params, 1, variables), record.Params, 1, nil),
		gatehouse.SCGI: scgi.AppendNetstring(nil, []byte(fields)),
		gatehouse.HTTP: fmt.Appendf(nil, "POST / HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: %d\r\nX: %s\r\n\r\n",
			length, strings.Repeat("x", 100)),
	}
	idle := map[gatehouse.Protocol]time.Duration{
		gatehouse.FastCGI: (75 + 16) * time.Second, // the limit begins with BEGIN_REQUEST, of 16 bytes
		gatehouse.SCGI:    75 * time.Second,
		gatehouse.HTTP:    75 * time.Second,
	}
	app := cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
		_, err := io.Copy(io.Discard, r.Body)
		return err
	})
	for protocol, head := range head {
		for _, tt := range []struct {
			part  string
			once  []byte
			slow  []byte
			after time.Duration
			key   string // in the log, or ""
		}{
			{"head", nil, head, idle[protocol], ""},
			{"body", head, bytes.Repeat([]byte("x"), length), 60 * time.Second, "(body_rate)"},
		} {
			t.Run(fmt.Sprint(protocol, " ", tt.part), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					var log testkit.Log
					l := &pipeListener{conns: make(chan net.Conn), closed: make(chan struct{})}
					s := gatehouse.Server{App: app, Log: log.Logger(), Endpoints: []gatehouse.Endpoint{{Protocol: protocol, Listener: l}}}
					ctx, stop := context.WithCancel(t.Context())
					served := make(chan error, 1)
					go func() { served <- s.Serve(ctx) }()
					near, far := net.Pipe()
					l.conns <- far
					began := time.Now()
					var writing sync.WaitGroup
					writing.Go(func() {
						if tt.once != nil {
							near.Write(tt.once)
						}
						for _, b := range tt.slow {
							p := []byte{b}
							if protocol == gatehouse.FastCGI && tt.part == "body" {
								p = record.AppendStream(nil, record.Stdin, 1, p)
							}
							time.Sleep(time.Second)
							if _, err := near.Write(p); err != nil {
								return
							}
						}
					})
					response, _ := io.ReadAll(near)
					if d := time.Since(began); d < tt.after-time.Second || d > tt.after+5*time.Second {
						t.Errorf("the connection ended after %v; want %v", d, tt.after)
					}
					if tt.key != "" && (!bytes.Contains(response, []byte(" 408 ")) || !strings.Contains(log.String(), tt.key)) {
						t.Errorf("response %q, log %s; want 408, and %s", response, &log, tt.key)
					}
					near.Close()
					writing.Wait()
					stop()
					if err := <-served; err != nil && !errors.Is(err, context.Canceled) {
						t.Error(err)
					}
				})
			})
		}
	}
}
