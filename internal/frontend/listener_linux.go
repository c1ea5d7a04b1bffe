package frontend

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"

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
// errNoneQueued.
func acceptQueued(fd uintptr) (net.Conn, error) {
	for {
		n, _, err := unix.Accept4(int(fd), unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
		switch {
		case err == unix.EINTR || err == unix.ECONNABORTED:
			continue
		case err == unix.EAGAIN || err == unix.EINVAL:
			return nil, errNoneQueued
		case err != nil:
			return nil, os.NewSyscallError("accept4", err)
		}
		f := os.NewFile(uintptr(n), "connection")
		c, err := net.FileConn(f)
		return c, errors.Join(err, f.Close())
	}
}

// halfOpen reports whether a client is in the middle of connecting to a TCP address. It may
// know that already while we do not: the last segment of the handshake is on its way.
func halfOpen(a net.Addr) bool {
	tcp, ok := a.(*net.TCPAddr)
	if !ok {
		return false
	}
	port := fmt.Sprintf(":%04X", tcp.Port)
	for _, table := range []string{"/proc/thread-self/net/tcp", "/proc/thread-self/net/tcp6"} {
		f, err := os.Open(table)
		if err != nil {
			continue
		}
		found := false
		for lines := bufio.NewScanner(f); !found && lines.Scan(); {
			// sl, local address, remote address, state: 03 is SYN_RECV
			fields := strings.Fields(lines.Text())
			found = len(fields) > 3 && fields[3] == "03" && strings.HasSuffix(fields[1], port)
		}
		f.Close()
		if found {
			return true
		}
	}
	return false
}
