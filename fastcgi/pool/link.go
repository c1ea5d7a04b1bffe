package pool

import (
	"errors"
	"os"
	"time"

	"gatehouse/cgi/process"
)

// A link leads to one process, which has its other end as descriptor 0.
type link interface {
	// connect gives w a connection in place of the one it had, with the mu of its pool held. The
	// error is errEnding if the process takes none any more, or what is wrong with it.
	connect(w *worker) error

	// awaitReady returns nil once the process waits for its first request: errNotReady after
	// Limits.Ready, or another error if it never will.
	awaitReady(w *worker) error

	// served notes that a request has been served. The error is what is wrong with the process.
	served(c *conn) error

	// givenUp notes that a request was given up. The process may go on; the error is that of
	// connect.
	givenUp(c *conn) error

	// free reports whether the process waits for a request, and whether its connection is open.
	free(c *conn) (free, open bool)

	// awaitFree returns what free does, as soon as that is true, the connection is closed, or
	// the time has passed.
	awaitFree(c *conn, until time.Time) (free bool)

	// unready says how a process has ended that was never ready, with a remedy. It is given what
	// that wrote to its stdout, and the last line on its stderr.
	unready(s process.Status, printed, last string) string

	// close closes what connect does not return.
	close()
}

// A linker returns a link, and its other end for the process.
type linker func() (link, *os.File, error)

var (
	// errEnding is that the process takes no connection any more.
	errEnding = errors.New("it ends")

	// errNotReady is that the process goes on, and is not ready.
	errNotReady = errors.New("in time (ready)")
)

// longPast is a deadline that interrupts what is under way.
var longPast = time.Unix(1, 0)
