//go:build !linux

package frontend

import (
	"errors"
	"net"
)

// refuse is not available here.
func refuse(uintptr) error { return errors.ErrUnsupported }

func acceptQueued(uintptr) (net.Conn, error) { return nil, errNoneQueued }

func halfOpen(net.Addr) bool { return false }
