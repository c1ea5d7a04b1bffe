package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// maxResult bounds the message about a reload, in bytes.
const maxResult = 64 << 10

// resultTime bounds the wait for the result of a reload.
const resultTime = 90 * time.Second

// A result tells who has asked for a reload, and listens on the abstract socket of
// resultAddress, how it ended.
type result struct {
	Began int64  // the time of CLOCK_MONOTONIC, in nanoseconds
	Error string // empty if the new configuration serves
}

// resultAddress returns where the result of a reload by process pid is sent. The socket is
// abstract, so that a daemon reaches it that may not write to any directory.
func resultAddress(pid int) *net.UnixAddr {
	return &net.UnixAddr{Net: "unixgram", Name: "@gatehouse/reload/" + strconv.Itoa(pid)}
}

func beginResult() result { return result{Began: monotonic()} }

func monotonic() int64 {
	var ts unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts) // it always succeeds
	return ts.Nano()
}

// send sends the result, if somebody waits for it.
func (r result) send(err error) {
	if err != nil {
		r.Error = err.Error()
		r.Error = r.Error[:min(len(r.Error), maxResult/8)] // which grows by escapes
	}
	c, err := net.DialUnix("unixgram", nil, resultAddress(os.Getpid()))
	if err != nil {
		return
	}
	defer c.Close()
	message, err := json.Marshal(r)
	if err == nil && c.SetWriteDeadline(time.Now().Add(time.Second)) == nil {
		_, _ = c.Write(message) // who waits finds out that nothing has come
	}
}

// RequestReload has the gatehouse with that process id reload its configuration (SIGHUP), and
// waits until it serves the new one, for 90 s at most. If it does not, the error has a line for
// each problem. Only one may wait at a time. The caller runs as root, or as the user of that
// process, and in its network namespace.
func RequestReload(ctx context.Context, pid int) error {
	c, err := net.ListenUnixgram("unixgram", resultAddress(pid))
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("somebody else waits for process %d to reload: try again later", pid)
	case err != nil:
		return fmt.Errorf("the result of a reload cannot be received: %w", cause(err))
	}
	defer c.Close()
	if err := passCredentials(c); err != nil {
		return fmt.Errorf("the result of a reload cannot be received: %w", err)
	}
	p, err := os.FindProcess(pid) // by a pidfd, so that it is the same to the end
	if err != nil {
		return fmt.Errorf("process %d: %w", pid, bare(err))
	}
	defer p.Release()
	asked := monotonic()
	if err := p.Signal(syscall.SIGHUP); err != nil {
		return fmt.Errorf("process %d cannot be told to reload: %w", pid, bare(err))
	}
	for end := time.Now().Add(resultTime); time.Now().Before(end) && ctx.Err() == nil; {
		r, err := receiveResult(c, pid)
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			if errors.Is(p.Signal(syscall.Signal(0)), os.ErrProcessDone) {
				return fmt.Errorf("process %d has ended", pid)
			}
		case err != nil:
			return fmt.Errorf("the result of a reload cannot be received: %w", cause(err))
		case r.Began < asked: // it may not have seen what has changed
		case r.Error != "":
			return errors.New(r.Error)
		default:
			return nil
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return fmt.Errorf("process %d did not say within %v whether it has reloaded: see its log", pid, resultTime)
}

// passCredentials has the kernel say who sends to c.
func passCredentials(c *net.UnixConn) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	cerr := raw.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_PASSCRED, 1) })
	return errors.Join(cerr, os.NewSyscallError("setsockopt", err))
}

// receiveResult waits a moment for a result. One that another process has sent is the zero
// result.
func receiveResult(c *net.UnixConn, pid int) (r result, err error) {
	if err := c.SetReadDeadline(time.Now().Add(200 * time.Millisecond)); err != nil {
		return r, err
	}
	b, oob := make([]byte, maxResult), make([]byte, unix.CmsgSpace(unix.SizeofUcred))
	n, oobn, _, _, err := c.ReadMsgUnix(b, oob)
	if err != nil {
		return r, err
	}
	messages, err := unix.ParseSocketControlMessage(oob[:oobn])
	if err != nil || len(messages) != 1 {
		return r, err
	}
	if cred, err := unix.ParseUnixCredentials(&messages[0]); err != nil || int(cred.Pid) != pid {
		return r, nil
	}
	err = json.Unmarshal(b[:n], &r)
	return r, err
}
