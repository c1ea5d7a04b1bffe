//go:build !linux

package frontend

import (
	"context"
	"errors"
	"net"
)

func (p *Pulse) connect(context.Context, *probe) (net.Conn, error) {
	return nil, errors.ErrUnsupported
}

func isQueued(uintptr) (bool, error) { return false, errors.ErrUnsupported }
