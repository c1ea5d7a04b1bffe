package pool

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"gatehouse/cgi/process"
	"gatehouse/internal/nowait"
)

// supported is why an App cannot be had on this system.
var supported error

// backlog is how many connections wait at a socket: one, unless the program has closed that.
const backlog = 16

// A listening link is a unix socket that a process listens on. Its name was removed as soon as it
// was bound: it is reached by its descriptor alone.
type listening struct {
	place *os.File // O_PATH
}

// listen is a linker. The socket is a file in a directory of its own, and has no abstract name,
// because those are open to every user of the machine.
func listen() (l link, end *os.File, err error) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, os.NewSyscallError("socket", err)
	}
	end = os.NewFile(uintptr(fd), "socket")
	defer func() {
		if err != nil {
			end.Close()
		}
	}()
	dir, err := os.MkdirTemp("", "gatehouse-")
	if err != nil {
		return nil, nil, err
	}
	defer os.RemoveAll(dir)
	name := filepath.Join(dir, "s")
	if err := unix.Bind(fd, &unix.SockaddrUnix{Name: name}); err != nil {
		return nil, nil, fmt.Errorf("%s: %w", name, os.NewSyscallError("bind", err))
	}
	if err := unix.Listen(fd, backlog); err != nil {
		return nil, nil, os.NewSyscallError("listen", err)
	}
	place, err := unix.Open(name, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, nil, &os.PathError{Op: "open", Path: name, Err: err}
	}
	return &listening{os.NewFile(uintptr(place), "socket")}, end, nil
}

// connect implements link.
func (l *listening) connect(w *worker) error {
	name := "/proc/self/fd/" + strconv.Itoa(int(l.place.Fd()))
	nc, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: name, Net: "unix"})
	if err != nil {
		return errEnding
	}
	if w.conn, err = newConn(w, nc); err != nil {
		return err
	}
	w.conn.sendAhead()
	return nil
}

var (
	errNotAccepted = fmt.Errorf("it has not accepted a connection %w: is it a FastCGI program, which accepts them on descriptor 0?", errNotReady)
	errClosed0     = errors.New("it has closed descriptor 0, and goes on: is it a FastCGI program, which accepts connections there?")
)

// readyLook is how long awaitReady waits for an event at most: that the first byte was read is told a
// moment before it can be seen, and that a child holds the socket of a process that has ended is not told.
const readyLook = 50 * time.Millisecond

// awaitReady returns nil once the process has read from its first connection.
func (l *listening) awaitReady(w *worker) error {
	c, limit := w.conn, w.pool.limits.Ready
	for begun := time.Now(); !l.awaitFree(c, time.Now().Add(min(limit, readyLook))); {
		switch _, open := l.free(c); {
		case !open || w.proc.HasExited():
			return errClosed0
		case time.Since(begun) >= limit:
			return errNotAccepted
		}
	}
	return nil
}

// served sends the first byte of the next request, which the process reads when it is free.
func (l *listening) served(c *conn) error {
	c.sendAhead()
	return nil
}

// givenUp gives the process another connection, which it accepts when it is free.
func (l *listening) givenUp(c *conn) error {
	c.Close()
	return l.connect(c.worker)
}

// free reports whether the process waits for a request: it has read the first byte, and has
// not closed the connection. In this order, since what ends reads nothing, and leaves nothing unread.
func (l *listening) free(c *conn) (free, open bool) {
	c.raw.Control(func(fd uintptr) {
		free = !nowait.Unread(fd)
		open = nowait.Quiet(fd)
	})
	return free && open, open
}

// awaitFree implements link. A socket becomes ready to be written to whenever something was read
// of it.
func (l *listening) awaitFree(c *conn, until time.Time) (free bool) {
	c.SetWriteDeadline(until)
	c.raw.Write(func(fd uintptr) bool {
		read := !nowait.Unread(fd)
		open := nowait.Quiet(fd)
		free = read && open
		return free || !open
	})
	c.SetWriteDeadline(time.Time{})
	return free
}

// unready implements link.
func (l *listening) unready(s process.Status, printed, last string) string {
	remedy := "a FastCGI program accepts connections on descriptor 0 until it is told to end"
	if last != "" {
		remedy += "; its last line on stderr is: " + last
	}
	if line, _, _ := strings.Cut(strings.ReplaceAll(printed, "\r", ""), "\n"); printed != "" {
		remedy = fmt.Sprintf("it printed %.100q", line)
		if name, _, ok := strings.Cut(line, ":"); ok && !strings.ContainsAny(name, " \t<") {
			remedy += ", as a CGI program does: serve it with scripts, or if it is PHP write php-cgi"
		}
	}
	return fmt.Sprintf("it ended before it accepted a connection, with %v: %s", s, remedy)
}

// close implements link.
func (l *listening) close() { l.place.Close() }
