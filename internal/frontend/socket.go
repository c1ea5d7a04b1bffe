package frontend

import (
	"errors"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// ErrKicked is returned by a wait that Kick ended.
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

// past is a deadline that has always passed.
var past = time.Unix(1, 0)

// A Socket is a connection with what a gateway needs beyond net.Conn. Reading
// and waiting exclude each other.
type Socket struct {
	net.Conn

	// Unix reports a unix socket, where only a hang-up tells that the peer has gone: a
	// peer may shut down its writing side after the request.
	Unix bool

	// HalfClose says the same of TCP peers.
	HalfClose bool

	grown bool // GrowSendBuffer has been called

	raw    syscall.RawConn
	vector *vectorRead // made when it is needed

	await  func(fd uintptr) bool
	flags  int     // for recv, of await
	window int     // how much of a buffer await may fill
	buf    *Buffer // result of await, with n and err
	n      int
	err    error
}

// NewSocket wraps c, and turns off what delays small writes.
func NewSocket(c net.Conn) *Socket {
	s := &Socket{Conn: c}
	switch c.(type) {
	case *net.UnixConn:
		s.Unix = true
	case *net.TCPConn:
	default:
		return s
	}
	if raw, err := c.(syscall.Conn).SyscallConn(); err == nil {
		s.raw = raw
	}
	return s
}

// Kick makes a Read or a wait that is under way, or the next one, return
// ErrKicked or os.ErrDeadlineExceeded. Unkick must follow before the next one.
func (s *Socket) Kick() { s.SetReadDeadline(past) }

// Unkick undoes Kick.
func (s *Socket) Unkick() { s.SetReadDeadline(time.Time{}) }

// IsKick reports whether err is what Kick causes.
func IsKick(err error) bool {
	return errors.Is(err, ErrKicked) || errors.Is(err, os.ErrDeadlineExceeded)
}

// sendBuffer is what GrowSendBuffer asks for, in bytes. The system bounds it
// (net.core.wmem_max), and takes the double.
const sendBuffer = 512 << 10

// GrowSendBuffer makes room on a unix socket for what a large answer writes while the
// peer is at work, so that either wakes the other less often. It does so once. TCP
// sees to its buffers by itself.
func (s *Socket) GrowSendBuffer() {
	if c, ok := s.Conn.(*net.UnixConn); ok && !s.grown {
		s.grown = true
		_ = c.SetWriteBuffer(sendBuffer)
	}
}

// CloseWrite shuts down the writing side, if there is such a thing.
func (s *Socket) CloseWrite() {
	if c, ok := s.Conn.(interface{ CloseWrite() error }); ok {
		c.CloseWrite()
	}
}

// Reset makes Close send a reset on TCP, so that the peer cannot take what it got
// for the whole. On a unix socket nothing does that but bytes left unread.
func (s *Socket) Reset() {
	if c, ok := s.Conn.(*net.TCPConn); ok {
		c.SetLinger(0)
	}
}

// waitKick waits until Kick or Close without looking at the peer.
func (s *Socket) waitKick() error {
	if s.raw == nil {
		return ErrKicked
	}
	return s.raw.Read(func(uintptr) bool { return false })
}
