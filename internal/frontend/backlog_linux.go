package frontend

import (
	"encoding/binary"
	"net"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Backlog returns how many connections of a listening socket nobody has accepted yet, and how
// many there may be. ok is false where the system does not tell: for a unix socket it is asked
// by netlink (unix_diag), which a kernel may lack, and a sandbox forbid.
func Backlog(l net.Listener) (queued, limit int, ok bool) {
	err := control(l, func(fd uintptr) error {
		domain, err := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_DOMAIN)
		if err != nil {
			return os.NewSyscallError("getsockopt", err)
		}
		if domain == unix.AF_UNIX {
			queued, limit, err = unixBacklog(int(fd))
			return err
		}
		// Of a listening socket these are sk_ack_backlog and sk_max_ack_backlog.
		info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
		if err != nil {
			return os.NewSyscallError("getsockopt", err)
		}
		const listen = 10 // TCP_LISTEN
		if info.State != listen {
			return unix.EINVAL
		}
		queued, limit = int(info.Unacked), int(info.Sacked)
		return nil
	})
	return queued, limit, err == nil
}

// What follows is of linux/unix_diag.h and linux/sock_diag.h.
const (
	sockDiagByFamily = 20
	showQueueLengths = 0x10 // UDIAG_SHOW_RQLEN
	queueLengths     = 4    // UNIX_DIAG_RQLEN
)

type unixDiagRequest struct {
	header   unix.NlMsghdr
	family   uint8
	protocol uint8
	_        uint16
	states   uint32
	inode    uint32
	show     uint32
	cookie   [2]uint32
}

// unixDiagMessage is the length of struct unix_diag_msg, which attributes follow.
const unixDiagMessage = 16

// unixBacklog asks for the queue of one listening socket, by its inode.
func unixBacklog(fd int) (queued, limit int, err error) {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return 0, 0, os.NewSyscallError("fstat", err)
	}
	s, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_SOCK_DIAG)
	if err != nil {
		return 0, 0, os.NewSyscallError("socket", err)
	}
	defer unix.Close(s)
	// The kernel answers before sendto returns; this is for one that does not.
	_ = unix.SetsockoptTimeval(s, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 1})
	r := unixDiagRequest{family: unix.AF_UNIX, states: ^uint32(0), inode: uint32(st.Ino), show: showQueueLengths,
		cookie: [2]uint32{^uint32(0), ^uint32(0)}}
	r.header = unix.NlMsghdr{Len: uint32(unsafe.Sizeof(r)), Type: sockDiagByFamily, Flags: unix.NLM_F_REQUEST}
	request := unsafe.Slice((*byte)(unsafe.Pointer(&r)), unsafe.Sizeof(r))
	if err := unix.Sendto(s, request, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return 0, 0, os.NewSyscallError("sendto", err)
	}
	buf := make([]byte, 4096)
	n, _, err := unix.Recvfrom(s, buf, 0)
	if err != nil {
		return 0, 0, os.NewSyscallError("recvfrom", err)
	}
	buf = buf[:n]
	if len(buf) < unix.NLMSG_HDRLEN+unixDiagMessage || binary.NativeEndian.Uint16(buf[4:]) != sockDiagByFamily {
		return 0, 0, unix.ENOENT // an error: the socket is of another network namespace, or there is no unix_diag
	}
	for b := buf[unix.NLMSG_HDRLEN+unixDiagMessage:]; len(b) >= unix.SizeofRtAttr; {
		size := int(binary.NativeEndian.Uint16(b))
		if size < unix.SizeofRtAttr || size > len(b) {
			break
		}
		if binary.NativeEndian.Uint16(b[2:]) == queueLengths && size >= unix.SizeofRtAttr+8 {
			v := b[unix.SizeofRtAttr:]
			return int(binary.NativeEndian.Uint32(v)), int(binary.NativeEndian.Uint32(v[4:])), nil
		}
		b = b[min((size+3)&^3, len(b)):]
	}
	return 0, 0, unix.ENOENT
}
