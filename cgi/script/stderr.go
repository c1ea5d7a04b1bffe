package script

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"sync"
	"time"

	"gatehouse/cgi"
	"gatehouse/cgi/cgihead"
	"gatehouse/cgi/relay"
	"gatehouse/systemd/sandbox"
)

// Bounds of what a program may say on stderr.
const (
	stderrRead  = 4 << 10
	stderrLine  = 2 << 10  // a longer line is logged in parts
	stderrTotal = 64 << 10 // of one program, unless Limits.StderrBytes says otherwise; the rest is read and counted

	// The web server makes a line of its log of each record. So it gets whole lines, and those
	// together that come within stderrDelay, up to stderrHeld.
	stderrHeld  = 16 << 10
	stderrDelay = 20 * time.Millisecond
)

// stderrLog takes a program's stderr to the log, line by line, or as it is to where
// the App says.
type stderrLog struct {
	log     *slog.Logger
	about   slog.Attr // the request
	script  string
	sandbox func() *sandbox.Sandbox // or nil
	limit   int                     // in bytes
	raw     func(p []byte) error    // if it fails, the log gets p, and all that follows
	hold    bool                    // raw gets whole lines

	held       []byte // for raw
	line       []byte
	logged     int
	suppressed int64
}

// drain reads the program's stderr until its end, or until the program has ended
// and nothing is left: a child that it leaves behind does not matter.
func (c *stderrLog) drain(stderr relay.Output) {
	buf := stderrPool.Get().(*[stderrRead]byte)
	defer stderrPool.Put(buf)
	for {
		n, err := stderr.Read(buf[:])
		waiting := len(c.held) > 0
		c.take(buf[:n])
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			c.release(false)
			stderr.SetReadDeadline(time.Time{})
			continue
		case err != nil:
			c.release(true)
			c.finish()
			return
		case len(c.held) > 0 && !waiting:
			stderr.SetReadDeadline(time.Now().Add(stderrDelay))
		}
	}
}

// take adds p, or holds it until its line is whole.
func (c *stderrLog) take(p []byte) {
	if !c.hold || c.raw == nil {
		c.add(p)
		return
	}
	for len(p) > 0 {
		n := min(len(p), stderrHeld-len(c.held))
		c.held = append(c.held, p[:n]...)
		p = p[n:]
		if len(c.held) == stderrHeld {
			c.release(bytes.IndexByte(c.held, '\n') < 0)
		}
	}
}

// release adds the whole lines that are held, or all that is.
func (c *stderrLog) release(all bool) {
	n := len(c.held)
	if !all {
		n = 1 + bytes.LastIndexByte(c.held, '\n')
	}
	c.add(c.held[:n])
	if c.raw == nil { // the log takes parts of lines
		c.add(c.held[n:])
		n = len(c.held)
	}
	c.held = c.held[:copy(c.held, c.held[n:])]
}

var stderrPool = sync.Pool{New: func() any { return new([stderrRead]byte) }}

func (c *stderrLog) add(p []byte) {
	if c.raw != nil && len(p) > 0 {
		rest := p[:min(len(p), max(0, c.limit-c.logged))]
		if len(rest) == 0 || c.raw(rest) == nil {
			c.logged += len(rest)
			c.suppressed += int64(len(p) - len(rest))
			return
		}
		c.raw = nil
	}
	for len(p) > 0 {
		i := bytes.IndexByte(p, '\n')
		part := p
		if i >= 0 {
			part = p[:i]
		}
		part = part[:min(len(part), stderrLine-len(c.line))]
		c.line = append(c.line, part...)
		p = p[len(part):]
		if i == len(part) {
			p = p[1:]
			c.flush()
		} else if len(c.line) == stderrLine {
			c.flush()
		}
	}
}

// flush logs the line.
func (c *stderrLog) flush() {
	line := bytes.TrimRight(c.line, "\r")
	switch {
	case len(line) == 0:
	case c.logged+len(line) > c.limit || c.suppressed > 0:
		c.suppressed += int64(len(line))
	default:
		c.logged += len(line)
		attrs := []slog.Attr{c.about, slog.String("script", c.script), slog.String("line", string(line))}
		if c.sandbox != nil {
			if r := c.sandbox().Said(string(line)); r != nil {
				attrs = append(attrs, slog.String("sandbox", r.String()))
			}
		}
		c.log.LogAttrs(context.Background(), slog.LevelWarn, "program stderr", attrs...)
	}
	c.line = c.line[:0]
}

func (c *stderrLog) finish() {
	c.flush()
	if c.suppressed > 0 {
		c.log.LogAttrs(context.Background(), slog.LevelWarn, "program stderr suppressed",
			c.about, slog.String("script", c.script),
			slog.Int64("bytes", c.suppressed), slog.Int("limit", c.limit))
	}
}

// rawStderr returns where the program's stderr goes as it is, or nil.
func (u *run) rawStderr() func([]byte) error {
	switch {
	case u.app.StderrToClient:
		return u.writeStderr
	case u.app.Stderr != nil:
		return func(p []byte) error {
			_, err := u.app.Stderr.Write(p)
			return err
		}
	}
	return nil
}

// writeStderr sends p to the web server, as long as ServeCGI has not returned.
func (u *run) writeStderr(p []byte) error {
	u.stderrMu.Lock()
	defer u.stderrMu.Unlock()
	if u.stderrLeft {
		return cgi.ErrAborted
	}
	return cgi.WriteStderr(u.relay.Response, p)
}

// leaveStderr keeps the response from being used once ServeCGI has returned.
func (u *run) leaveStderr() {
	u.stderrMu.Lock()
	defer u.stderrMu.Unlock()
	u.stderrLeft = true
}

// complain tells the web server why a request is refused, or what is wrong with the head
// of the response, if it is to have the programs' stderr or expects that of fcgiwrap, which
// says so there whatever becomes of the programs' own.
func (a *App) complain(w cgi.ResponseWriter, err error) error {
	if !a.StderrToClient && a.Manner != Fcgiwrap {
		return err
	}
	var f *Finding
	var h *cgihead.Error
	var se *cgi.StatusError
	switch {
	case errors.As(err, &f):
		_ = cgi.WriteStderr(w, []byte(f.Error()+"\n")) // the log has it
	case errors.As(err, &h) && errors.As(err, &se):
		_ = cgi.WriteStderr(w, []byte(se.Err.Error()+"\n"))
	}
	return err
}
