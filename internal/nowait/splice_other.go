//go:build !linux

package nowait

import "syscall"

// A splicing does not exist here.
type splicing struct{}

// SpliceTo is not available here.
func (c *Conn) SpliceTo(pipe, max int) (int, error) { return 0, syscall.EINVAL }

// Queued is not available here.
func (c *Conn) Queued() int { return 0 }
