package systemd

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Inspect classifies the descriptor fd by SO_DOMAIN, SO_TYPE, SO_ACCEPTCONN and the
// addresses of its two ends. It returns an error if there is no such descriptor.
func Inspect(fd int) (Socket, error) {
	domain, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DOMAIN)
	if errors.Is(err, unix.EBADF) {
		return Socket{}, fmt.Errorf("descriptor %d is not open", fd)
	}
	if err != nil {
		return Socket{}, nil
	}
	var s Socket
	switch domain {
	case unix.AF_INET, unix.AF_INET6:
		s.Network = "tcp"
	case unix.AF_UNIX:
		s.Network = "unix"
	}
	kind, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE)
	if err != nil || kind != unix.SOCK_STREAM || s.Network == "" {
		s.State = Other
		return s, nil
	}
	if n, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN); err == nil && n != 0 {
		s.State = Listening
		return s, nil
	}
	_, err = unix.Getpeername(fd)
	switch {
	case err != nil:
		s.State = Other
	case named(fd):
		s.State = Connected
	}
	return s, nil
}

// named reports whether the local end of a socket has an address.
func named(fd int) bool {
	sa, err := unix.Getsockname(fd)
	if err != nil {
		return false
	}
	if u, ok := sa.(*unix.SockaddrUnix); ok {
		// An unnamed socket is reported as an abstract one without a name.
		return u.Name != "" && u.Name != "@"
	}
	return true
}

// closeOnExec sets FD_CLOEXEC.
func closeOnExec(fd int) error {
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_SETFD, unix.FD_CLOEXEC); err != nil {
		return fmt.Errorf("descriptor %d: %w", fd, os.NewSyscallError("fcntl", err))
	}
	return nil
}

// pidfsMagic is PIDFS_MAGIC of linux/magic.h.
const pidfsMagic = 0x50494446

// pidfdID returns the inode number of this process on pidfs, which is unique since boot.
// Kernels before 6.9 have none.
func pidfdID() (id uint64, ok bool) {
	fd, err := unix.PidfdOpen(os.Getpid(), 0)
	if err != nil {
		return 0, false
	}
	defer unix.Close(fd)
	var fs unix.Statfs_t
	if err := unix.Fstatfs(fd, &fs); err != nil || fs.Type != pidfsMagic {
		return 0, false
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return 0, false
	}
	return st.Ino, true
}

// takeStandard moves descriptor 0 to a new one, closed on exec, and replaces it by
// /dev/null. Standard output and error are replaced as well if they are the same socket
// (as with inetd and systemd's StandardInput=socket), because what is printed there is
// not meant for the peer.
func takeStandard() (int, error) {
	var own unix.Stat_t
	if err := unix.Fstat(0, &own); err != nil {
		return -1, os.NewSyscallError("fstat", err)
	}
	null, err := unix.Open("/dev/null", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, &os.PathError{Op: "open", Path: "/dev/null", Err: err}
	}
	defer unix.Close(null)
	fd, err := unix.FcntlInt(0, unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		return -1, os.NewSyscallError("fcntl", err)
	}
	for std := range 3 {
		var st unix.Stat_t
		if err := unix.Fstat(std, &st); err != nil || st.Dev != own.Dev || st.Ino != own.Ino {
			continue
		}
		if err := unix.Dup3(null, std, 0); err != nil {
			unix.Close(fd)
			return -1, os.NewSyscallError("dup3", err)
		}
	}
	return fd, nil
}
