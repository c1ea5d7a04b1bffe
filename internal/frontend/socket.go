package frontend

import (
	"errors"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"gatehouse/internal/nowait"
)

// ErrKicked is returned by a wait that Kick interrupted.
var ErrKicked = errors.New("wait was interrupted")

// BufferSize is the size of the buffers that a Socket reads into.
const BufferSize = 16 << 10

// A Buffer is a pooled read buffer.
type Buffer [BufferSize]byte

var buffers = sync.Pool{New: func() any { return new(Buffer) }}

// GetBuffer takes a buffer from the pool.
func GetBuffer() *Buffer { return buffers.Get().(*Buffer) }

// PutBuffer returns a buffer to the pool.
func PutBuffer(b *Buffer) { buffers.Put(b) }

// past is a deadline that has passed.
var past = time.Unix(1, 0)

// A Socket is a connection with the operations that a gateway needs beyond net.Conn. Only
// one goroutine at a time may read or wait.
type Socket struct {
	net.Conn

	// Unix says that this is a unix socket. Its peer may shut down its writing side after
	// the request, so only a hang-up means that it has disconnected.
	Unix bool

	// HalfClose says that the same applies to a TCP peer.
	HalfClose bool

	grown bool // GrowSendBuffer has been called

	direct *nowait.Conn // nil if this is no socket
	raw    syscall.RawConn
	kicked chan struct{} // without raw: has room for a Kick that nobody has noticed
	vector *vectorRead   // created when needed

	await  func(fd uintptr) bool
	flags  int     // of recv in await
	window int     // how much of the buffer await may fill
	buf    *Buffer // result of await, as are n and err
	n      int
	err    error
}

// NewSocket wraps c.
func NewSocket(c net.Conn) *Socket {
	s := &Socket{Conn: c}
	switch c.(type) {
	case *net.UnixConn:
		s.Unix = true
	case *net.TCPConn:
	default:
		s.kicked = make(chan struct{}, 1)
		return s
	}
	if s.direct = nowait.New(c); s.direct != nil {
		s.raw, _ = s.direct.SyscallConn()
	} else if raw, err := c.(syscall.Conn).SyscallConn(); err == nil {
		s.raw = raw
	}
	return s
}

// Write implements net.Conn.
func (s *Socket) Write(p []byte) (int, error) {
	if s.direct != nil {
		return s.direct.Write(p)
	}
	return s.Conn.Write(p)
}

// WriteBuffers writes all of several buffers, which it consumes.
func (s *Socket) WriteBuffers(buffers *net.Buffers) (int64, error) {
	if s.direct != nil {
		return s.direct.WriteBuffers(buffers)
	}
	return buffers.WriteTo(s.Conn)
}

// Kick makes the current Read or wait, or else the next one, return ErrKicked or
// os.ErrDeadlineExceeded. Unkick must be called before the next one after that.
func (s *Socket) Kick() {
	s.SetReadDeadline(past)
	s.wake()
}

func (s *Socket) wake() {
	select {
	case s.kicked <- struct{}{}:
	default: // it has one, or needs none
	}
}

// Close closes the connection, and ends a wait.
func (s *Socket) Close() error {
	err := s.Conn.Close()
	s.wake()
	return err
}

// Unkick undoes Kick.
func (s *Socket) Unkick() {
	select {
	case <-s.kicked:
	default:
	}
	s.SetReadDeadline(time.Time{})
}

// IsKick reports whether err was caused by Kick.
func IsKick(err error) bool {
	return errors.Is(err, ErrKicked) || errors.Is(err, os.ErrDeadlineExceeded)
}

// sendBuffer is the size that GrowSendBuffer requests, in bytes. The system limits it
// (net.core.wmem_max), and doubles it.
const sendBuffer = 512 << 10

// GrowSendBuffer enlarges the send buffer of a unix socket for a large response, so that
// the two processes wake each other less often. It does so once. TCP adjusts its buffers
// itself.
func (s *Socket) GrowSendBuffer() {
	if c, ok := s.Conn.(*net.UnixConn); ok && !s.grown {
		s.grown = true
		_ = c.SetWriteBuffer(sendBuffer)
	}
}

// CloseWrite shuts down the writing side, if the connection supports that.
func (s *Socket) CloseWrite() {
	if c, ok := s.Conn.(interface{ CloseWrite() error }); ok {
		c.CloseWrite()
	}
}

// Reset makes Close send a reset on TCP, so that the peer cannot mistake a partial
// response for a complete one. On a unix socket, only unread data has that effect.
func (s *Socket) Reset() {
	if c, ok := s.Conn.(*net.TCPConn); ok {
		c.SetLinger(0)
	}
}

// waitKick waits until Kick or Close, whatever the peer does.
func (s *Socket) waitKick() error {
	if s.raw == nil {
		<-s.kicked
		s.wake() // it lasts until Unkick
		return ErrKicked
	}
	return s.raw.Read(func(uintptr) bool { return false })
}
