package daemon

import (
	"errors"
	"fmt"
	"net"
	"path/filepath"

	"gatehouse"
	"gatehouse/internal/frontend"

	"golang.org/x/sys/windows"
)

func isInUse(err error) bool { return errors.Is(err, windows.WSAEADDRINUSE) }

// listenUnix opens a unix socket. The permissions of its directory apply.
func listenUnix(a Address) (net.Listener, error) {
	if err := a.checkOwner(); err != nil {
		return nil, err
	}
	l, err := gatehouse.Listen("unix", a.Path)
	if isInUse(err) {
		return nil, fmt.Errorf("unix:%s %w: stop it, or choose another path", a.Path, errPortInUse)
	}
	if err != nil {
		return nil, fmt.Errorf("unix:%s: %w", a.Path, cause(err))
	}
	return l, nil
}

func takeUnix(_ Address, l *frontend.Listener) (net.Listener, error) { return l, nil }

// checkUnix returns what is wrong with the path of a unix socket.
func (a Address) checkUnix() error {
	if err := checkDirectory(filepath.Dir(a.Path)); err != nil {
		return fmt.Errorf("unix:%s: %w", a.Path, err)
	}
	return a.checkOwner()
}

func (a Address) checkOwner() error {
	if a.Owner != "" || a.Group != "" {
		return fmt.Errorf("%v: owner and group are not available on Windows", a)
	}
	return nil
}
