//go:build !unix

package nowait

import (
	"net"
	"syscall"
)

// A Conn does not exist here.
type Conn struct{ net.Conn }

// New returns nil here.
func New(net.Conn) *Conn { return nil }

// SyscallConn implements syscall.Conn.
func (c *Conn) SyscallConn() (syscall.RawConn, error) { return nil, syscall.ENOTSUP }

// WriteRead is not available here.
func (c *Conn) WriteRead(_, _ []byte) (written, read int, err error) { return 0, 0, syscall.ENOTSUP }

// ReadNow is not available here.
func (c *Conn) ReadNow(_ []byte) (int, error) { return 0, syscall.ENOTSUP }

// Quiet does not tell anything here.
func Quiet(uintptr) bool { return true }

// WriteBuffers is not available here.
func (c *Conn) WriteBuffers(*net.Buffers) (int64, error) { return 0, syscall.ENOTSUP }
