//go:build unix

package daemon

import (
	"fmt"
	"net"
	"os"

	"gatehouse/internal/frontend"
)

// isInPlace reports whether clients of l still find its socket: somebody may have removed or
// replaced the file of a unix socket.
func isInPlace(l net.Listener) bool {
	u, ok := l.(*unixListener)
	if !ok {
		return true
	}
	now, err := os.Lstat(u.path)
	return err == nil && os.SameFile(u.own, now)
}

// setOptions changes the owner and the mode of the unix socket that l has opened from those of
// before to those of a.
func setOptions(l net.Listener, before, a Address) error {
	if _, ok := l.(*unixListener); !ok || before.Mode == a.Mode && before.Owner == a.Owner && before.Group == a.Group {
		return nil
	}
	uid, gid, err := a.ids()
	if err != nil {
		return err
	}
	if uid < 0 && before.Owner != "" {
		uid = os.Geteuid()
	}
	if gid < 0 && before.Group != "" {
		gid = os.Getegid()
	}
	if !isInPlace(l) {
		return fmt.Errorf("unix:%s has been replaced by another process", a.Path)
	}
	_, err = setOwnerAndMode(a, uid, gid)
	return err
}

// duplicate returns another listener for the socket, which removes its file, too.
func (l *unixListener) duplicate() (net.Listener, error) {
	d, err := duplicate(l.Listener)
	if err != nil {
		return nil, err
	}
	return &unixListener{Listener: d.(*frontend.Listener), path: l.path, own: l.own}, nil
}
