package backend

import (
	"context"
	"errors"
	"net"
	"time"

	"gatehouse/internal/namedpipe"

	"golang.org/x/sys/windows"
)

// pipePause is between attempts to connect to a pipe whose instances are all taken.
const pipePause = 10 * time.Millisecond

// dialPipe connects to a named pipe, and waits while all its instances are taken.
func dialPipe(ctx context.Context, name string, timeout time.Duration) (net.Conn, error) {
	if timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, timeout)
		defer cancel()
	}
	for {
		c, err := namedpipe.Dial(name)
		if err == nil {
			return c, nil
		}
		if !errors.Is(err, windows.ERROR_PIPE_BUSY) {
			return nil, err
		}
		select {
		case <-time.After(pipePause):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}
