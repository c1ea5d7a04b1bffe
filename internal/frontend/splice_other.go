//go:build !linux

package frontend

import "os"

// SpliceTo is not available here.
func (s *Socket) SpliceTo(pipe, max int) (int, error) { return 0, os.ErrInvalid }

// SpliceFrom is not available here.
func (s *Socket) SpliceFrom(pipe, n int, more bool) (int, error) { return 0, os.ErrInvalid }

// WriteNow is not available here.
func WriteNow(pipe int, p []byte) (int, error) { return 0, os.ErrInvalid }

// CanSplice reports whether SpliceTo and SpliceFrom work on this socket.
func (s *Socket) CanSplice() bool { return false }
