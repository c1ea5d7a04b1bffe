//go:build !windows

package backend

import (
	"context"
	"errors"
	"net"
	"time"
)

// dialPipe fails: there are no named pipes here.
func dialPipe(context.Context, string, time.Duration) (net.Conn, error) {
	return nil, errors.ErrUnsupported
}
