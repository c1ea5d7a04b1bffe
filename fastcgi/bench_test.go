package fastcgi

import (
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"gatehouse/cgi"
	"gatehouse/fastcgi/record"
)

// A loopConn gives one request n times, and takes the answers.
type loopConn struct {
	net.Conn
	request []byte
	n       int
	turn    chan struct{} // a request may be sent
	done    chan struct{}
	once    sync.Once
}

func (c *loopConn) Read(p []byte) (int, error) {
	<-c.turn
	if c.n == 0 {
		return 0, io.EOF
	}
	c.n--
	return copy(p, c.request), nil
}

func (c *loopConn) Write(p []byte) (int, error) {
	c.turn <- struct{}{}
	return len(p), nil
}

func (c *loopConn) Close() error                     { c.once.Do(func() { close(c.done) }); return nil }
func (c *loopConn) SetReadDeadline(time.Time) error  { return nil }
func (c *loopConn) SetWriteDeadline(time.Time) error { return nil }
func (c *loopConn) LocalAddr() net.Addr              { return &net.UnixAddr{Name: "s", Net: "unix"} }
func (c *loopConn) RemoteAddr() net.Addr             { return &net.UnixAddr{Name: "", Net: "unix"} }

// A oneListener has one connection.
type oneListener struct {
	conn   chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (l *oneListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conn:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}
func (l *oneListener) Close() error   { l.once.Do(func() { close(l.closed) }); return nil }
func (l *oneListener) Addr() net.Addr { return &net.UnixAddr{Name: "s", Net: "unix"} }

// BenchmarkPath is a request's way through the server without the system's part.
func BenchmarkPath(b *testing.B) { benchmarkPath(b, hello) }

// BenchmarkPathHTTP is the same, to a http.Handler.
func BenchmarkPathHTTP(b *testing.B) {
	benchmarkPath(b, cgi.FromHTTP(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		io.WriteString(w, "hello world\n")
	})))
}

func benchmarkPath(b *testing.B, app cgi.App) {
	c := &loopConn{request: get(1, record.KeepConn, commonVariables...), n: b.N, turn: make(chan struct{}, 1), done: make(chan struct{})}
	c.turn <- struct{}{}
	l := &oneListener{conn: make(chan net.Conn, 1), closed: make(chan struct{})}
	s := &Server{App: app}
	served := make(chan error, 1)
	b.ReportAllocs()
	b.ResetTimer()
	l.conn <- c
	go func() { served <- s.Serve(l) }()
	<-c.done
	b.StopTimer()
	s.Close()
	<-served
}
