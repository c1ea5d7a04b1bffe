//go:build !linux

package frontend

import "net"

// Backlog reports false: this system does not tell what nobody has accepted yet.
func Backlog(net.Listener) (queued, limit int, ok bool) { return 0, 0, false }
