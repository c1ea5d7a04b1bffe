package frontend

import (
	"errors"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// noSYN is a filter for a TCP listener that lets all pass but the segments that ask for a
// connection: those of handshakes that have begun are needed. It sees the TCP header.
var noSYN = []unix.SockFilter{
	{Code: unix.BPF_LD | unix.BPF_B | unix.BPF_ABS, K: 13}, // the flags
	{Code: unix.BPF_JMP | unix.BPF_JSET | unix.BPF_K, K: 0x02, Jf: 1},
	{Code: unix.BPF_RET | unix.BPF_K, K: 0},
	{Code: unix.BPF_RET | unix.BPF_K, K: 0xffffffff},
}

// refuse has a listening socket refuse new connections and keep those that are queued.
func refuse(fd uintptr) error {
	protocol, err := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_DOMAIN)
	if err != nil {
		return os.NewSyscallError("getsockopt", err)
	}
	if protocol == unix.AF_UNIX {
		return os.NewSyscallError("shutdown", unix.Shutdown(int(fd), unix.SHUT_RD))
	}
	program := unix.SockFprog{Len: uint16(len(noSYN)), Filter: &noSYN[0]}
	return os.NewSyscallError("setsockopt", unix.SetsockoptSockFprog(int(fd), unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &program))
}

// acceptQueued accepts a connection that is queued. If there is none, it returns
// net.ErrClosed.
func acceptQueued(fd uintptr) (net.Conn, error) {
	for {
		n, _, err := unix.Accept4(int(fd), unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
		switch {
		case err == unix.EINTR || err == unix.ECONNABORTED:
			continue
		case err == unix.EAGAIN || err == unix.EINVAL:
			return nil, net.ErrClosed
		case err != nil:
			return nil, os.NewSyscallError("accept4", err)
		}
		f := os.NewFile(uintptr(n), "connection")
		c, err := net.FileConn(f)
		return c, errors.Join(err, f.Close())
	}
}
