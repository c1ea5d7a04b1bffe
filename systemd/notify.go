package systemd

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// sendTime bounds how long sending one notification may take: a service manager that does
// not read must not block the process that it manages.
const sendTime = time.Second

// A Notifier tells the service manager about the state of this process (sd_notify(3)).
// Its methods may be called at the same time. A nil Notifier stands for a process that no
// service manager watches; its methods do nothing.
//
// Every method that sends returns an error if the service manager cannot be reached
// within a second. The notification is lost then.
type Notifier struct {
	address  *net.UnixAddr
	watchdog time.Duration
	left     atomic.Bool // another process notifies
}

// Notifier returns the Notifier for NOTIFY_SOCKET, or nil if it is not set. It removes
// NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID from the environment even if it fails, so
// that programs started later do not send in the name of this process; a second call
// returns nil.
//
// NOTIFY_SOCKET is an absolute path, or begins with "@" for the abstract namespace. A
// socket of a virtual machine (vsock:) is not supported.
func (p Process) Notifier() (*Notifier, error) {
	p = p.withDefaults()
	vars := make(map[string]string)
	for _, name := range []string{"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"} {
		if v, ok := p.LookupEnv(name); ok {
			vars[name] = v
			if err := p.Unsetenv(name); err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	path := vars["NOTIFY_SOCKET"]
	if path == "" {
		return nil, nil
	}
	if path[0] != '/' && path[0] != '@' || len(path) == 1 {
		return nil, fmt.Errorf("NOTIFY_SOCKET is %q: it must be an absolute path, or begin with @", path)
	}
	watchdog, err := p.watchdog(vars)
	if err != nil {
		return nil, err
	}
	return &Notifier{address: &net.UnixAddr{Net: "unixgram", Name: path}, watchdog: watchdog}, nil
}

// watchdog returns the limit of WatchdogSec= as sd_watchdog_enabled(3) does, or 0.
func (p Process) watchdog(vars map[string]string) (time.Duration, error) {
	limit := vars["WATCHDOG_USEC"]
	if limit == "" {
		return 0, nil
	}
	usec, err := strconv.ParseInt(limit, 10, 64)
	if err != nil || usec <= 0 || usec > int64(1<<63-1)/int64(time.Microsecond) {
		return 0, fmt.Errorf("WATCHDOG_USEC is %q, not a number of microseconds", limit)
	}
	if v := vars["WATCHDOG_PID"]; v != "" {
		pid, err := strconv.ParseInt(v, 10, 32)
		if err != nil || pid <= 0 {
			return 0, fmt.Errorf("WATCHDOG_PID is %q, not the id of a process", v)
		}
		if int(pid) != p.PID {
			return 0, nil
		}
	}
	return time.Duration(usec) * time.Microsecond, nil
}

// Watchdog returns WatchdogSec=: how long the service manager waits for Alive before it
// restarts this process. It is 0 if the service manager does not wait for it.
func (n *Notifier) Watchdog() time.Duration {
	if n == nil {
		return 0
	}
	return n.watchdog
}

// Environ returns the variables by which another process of this service finds the service
// manager, once HandOver has said that it is the main one.
func (n *Notifier) Environ() []string {
	if n == nil {
		return nil
	}
	env := []string{"NOTIFY_SOCKET=" + n.address.Name}
	if n.watchdog > 0 {
		env = append(env, "WATCHDOG_USEC="+strconv.FormatInt(n.watchdog.Microseconds(), 10))
	}
	return env
}

// Ready says that the process serves, after its start or after Reloading.
func (n *Notifier) Ready() error { return n.Send("READY=1") }

// Stopping says that the process has begun to end.
func (n *Notifier) Stopping() error { return n.Send("STOPPING=1") }

// Status describes the state of the process in a line, for people.
func (n *Notifier) Status(s string) error { return n.Send("STATUS=" + oneLine(s)) }

// Alive puts the watchdog off. It is to be called more often than Watchdog says, by
// convention twice as often.
func (n *Notifier) Alive() error { return n.Send("WATCHDOG=1") }

// Hung asks the service manager to treat the process as one that missed its watchdog.
func (n *Notifier) Hung() error { return n.Send("WATCHDOG=trigger") }

// ExtendTimeout asks the service manager to wait for at least d from now before it takes
// starting, reloading or stopping to have failed.
func (n *Notifier) ExtendTimeout(d time.Duration) error {
	return n.Send("EXTEND_TIMEOUT_USEC=" + strconv.FormatInt(max(1, d.Microseconds()), 10))
}

// MainPID says that another process is the main process of the service from now on. The
// unit must allow it (NotifyAccess=all, or exec).
func (n *Notifier) MainPID(pid int) error { return n.Send("MAINPID=" + strconv.Itoa(pid)) }

// HandOver is MainPID for a process that notifies from now on: n sends nothing any more, as
// what it would say, such as Stopping, is not true of the service.
func (n *Notifier) HandOver(pid int) error {
	if n == nil {
		return nil
	}
	err := n.MainPID(pid)
	n.left.Store(true)
	return err
}

// Send sends assignments, such as "STATUS=12 active", in one message. An assignment must
// not contain a line feed.
func (n *Notifier) Send(assignments ...string) error {
	return n.send(func(c *net.UnixConn) error {
		_, err := c.Write([]byte(strings.Join(assignments, "\n")))
		return err
	})
}

// send connects and writes a message. It connects anew each time, because the service
// manager may have been restarted.
func (n *Notifier) send(write func(*net.UnixConn) error) error {
	if n == nil || n.left.Load() {
		return nil
	}
	c, err := net.DialUnix("unixgram", nil, n.address)
	if err != nil {
		return n.failed(err)
	}
	defer c.Close()
	if err = c.SetWriteDeadline(time.Now().Add(sendTime)); err == nil {
		err = write(c)
	}
	if err != nil {
		return n.failed(err)
	}
	return nil
}

func (n *Notifier) failed(err error) error {
	var op *net.OpError
	if errors.As(err, &op) {
		err = op.Err
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = fmt.Errorf("nobody read within %v", sendTime)
	}
	return fmt.Errorf("the service manager cannot be notified at %s (NOTIFY_SOCKET): %w", n.address.Name, err)
}

// oneLine replaces control characters, which would begin another assignment.
func oneLine(s string) string {
	return strings.Map(func(c rune) rune {
		if c < ' ' || c == 0x7f {
			return ' '
		}
		return c
	}, s)
}
