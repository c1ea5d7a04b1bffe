//go:build !linux

package frontend

import "os"

// ReadFirst waits for bytes and reads them into a pooled buffer. The caller owns the
// buffer.
func (s *Socket) ReadFirst() (*Buffer, int, error) {
	b := GetBuffer()
	n, err := s.Read(b[:])
	if n == 0 {
		PutBuffer(b)
		return nil, 0, err
	}
	return b, n, nil
}

// ReadFew is ReadFirst here.
func (s *Socket) ReadFew(int) (*Buffer, int, error) { return s.ReadFirst() }

// PeekFirst is not available here.
func (s *Socket) PeekFirst() (*Buffer, int, error) { return nil, 0, os.ErrInvalid }

// Peek is not available here.
func (s *Socket) Peek([]byte) (int, error) { return 0, os.ErrInvalid }

// Queued is not available here.
func (s *Socket) Queued() int { return 0 }

// PeekQueued is not available here.
func (s *Socket) PeekQueued(int) []byte { return nil }

// CanPeek reports whether Peek works on this socket.
func (s *Socket) CanPeek() bool { return false }

type vectorRead struct{}

// ReadVector is not available here.
func (s *Socket) ReadVector([]byte, int) (int, *Buffer, int, error) { return 0, nil, 0, os.ErrInvalid }

// CanReadVector reports whether ReadVector works on this socket.
func (s *Socket) CanReadVector() bool { return false }

// CanWatch reports whether WaitGone notices that the peer disconnects.
func (s *Socket) CanWatch() bool { return false }

// Gone is not available here: only reading would tell.
func (s *Socket) Gone() bool { return false }

// WaitGone waits until Kick. Only reads and writes notice that the peer disconnects.
func (s *Socket) WaitGone() error { return s.waitKick() }

// Unsent is not available here.
func (s *Socket) Unsent() int { return -1 }
