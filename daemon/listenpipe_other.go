//go:build !windows

package daemon

import (
	"errors"
	"net"
)

// listenPipe fails: ParseAddress returns no such address here.
func listenPipe(Address) (net.Listener, error) { return nil, errors.ErrUnsupported }

func (a Address) checkPipe() error { return errors.ErrUnsupported }
