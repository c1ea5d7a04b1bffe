package frontend

import (
	"errors"
	"net"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// KnowsUsers says whether this system can identify the users of unix sockets.
const KnowsUsers = true

// peerUser returns the user and the process that called connect(2).
func peerUser(c net.Conn) (uid uint32, pid int32, err error) {
	s, ok := c.(syscall.Conn)
	if !ok {
		return 0, 0, errors.New("the connection hides its socket")
	}
	raw, err := s.SyscallConn()
	if err != nil {
		return 0, 0, err
	}
	var cred *unix.Ucred
	var serr error
	if err := raw.Control(func(fd uintptr) {
		cred, serr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	}); err != nil {
		return 0, 0, err
	}
	if serr != nil {
		return 0, 0, os.NewSyscallError("getsockopt", serr)
	}
	return cred.Uid, cred.Pid, nil
}
