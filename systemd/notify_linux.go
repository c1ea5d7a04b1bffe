package systemd

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// maxStored is how many descriptors fit into one message (SCM_MAX_FD of the kernel).
const maxStored = 253

// Reloading says that the process reads its configuration anew. Ready must follow, whether
// that succeeded or not. It carries the time that Type=notify-reload needs.
func (n *Notifier) Reloading() error {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		return os.NewSyscallError("clock_gettime", err)
	}
	return n.Send("RELOADING=1", "MONOTONIC_USEC="+strconv.FormatInt(ts.Nano()/int64(time.Microsecond), 10))
}

// Store gives descriptors to the service manager, which keeps them, open, until the
// service stops, and passes them to its next process with the given name
// (FileDescriptorStoreMax=). At most 253 fit into one call. The name has at most 255
// printable ASCII characters, without colons. The caller keeps the files.
func (n *Notifier) Store(name string, files ...*os.File) error {
	if err := checkName(name); err != nil {
		return err
	}
	if len(files) == 0 || len(files) > maxStored {
		return fmt.Errorf("%d descriptors to store: from 1 to %d can be sent at once", len(files), maxStored)
	}
	return n.sendFiles("FDSTORE=1\nFDNAME="+name, files)
}

// Forget makes the service manager close the stored descriptors of that name.
func (n *Notifier) Forget(name string) error {
	if err := checkName(name); err != nil {
		return err
	}
	return n.Send("FDSTOREREMOVE=1", "FDNAME="+name)
}

func checkName(name string) error {
	bad := func(c rune) bool { return c < ' ' || c >= 0x7f || c == ':' }
	if name == "" || len(name) > 255 || strings.ContainsFunc(name, bad) {
		return fmt.Errorf("%q cannot name stored descriptors: write 1 to 255 printable ASCII characters, without colons", name)
	}
	return nil
}

// Barrier waits until the service manager has processed everything sent before
// (sd_notify_barrier(3), systemd 246). It returns ctx's error if that is done first.
func (n *Notifier) Barrier(ctx context.Context) error {
	if n == nil {
		return nil
	}
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	defer r.Close()
	err = errors.Join(n.sendFiles("BARRIER=1", []*os.File{w}), w.Close())
	if err != nil {
		return err
	}
	defer context.AfterFunc(ctx, func() { r.SetReadDeadline(time.Unix(1, 0)) })()
	// The service manager closes the other end; it writes nothing.
	if _, err := r.Read(make([]byte, 1)); errors.Is(err, os.ErrDeadlineExceeded) {
		return context.Cause(ctx)
	}
	return nil
}

// sendFiles leaves the files as they are: File.Fd would make them block.
func (n *Notifier) sendFiles(message string, files []*os.File) error {
	var fds []int
	for _, f := range files {
		raw, err := f.SyscallConn()
		if err != nil {
			return err
		}
		if err := raw.Control(func(fd uintptr) { fds = append(fds, int(fd)) }); err != nil {
			return err
		}
	}
	defer runtime.KeepAlive(files)
	return n.send(func(c *net.UnixConn) error {
		raw, err := c.SyscallConn() // WriteMsgUnix refuses a connected socket
		if err != nil {
			return err
		}
		var sent error
		err = raw.Write(func(fd uintptr) bool {
			sent = unix.Sendmsg(int(fd), []byte(message), unix.UnixRights(fds...), nil, unix.MSG_NOSIGNAL)
			return sent != unix.EAGAIN
		})
		return errors.Join(err, os.NewSyscallError("sendmsg", sent))
	})
}
