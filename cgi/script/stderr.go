package script

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"sync"

	"gatehouse/cgi"
	"gatehouse/cgi/process"
)

// Bounds of what a program may say on stderr in the log.
const (
	stderrLine  = 4 << 10  // a longer line is logged in parts
	stderrTotal = 64 << 10 // of one program; the rest is read and counted
)

// stderrLog takes a program's stderr to the log, line by line, or as it is to where
// the App says.
type stderrLog struct {
	log     *slog.Logger
	request uint64
	script  string
	raw     func(p []byte) error // if it fails, the log gets p, and all that follows

	line       []byte
	logged     int
	suppressed int64
}

// drain reads the program's stderr until its end, or until the program has ended
// and nothing is left: a child that it leaves behind does not matter.
func (c *stderrLog) drain(stderr *process.Output) {
	buf := stderrPool.Get().(*[stderrLine]byte)
	defer stderrPool.Put(buf)
	for {
		n, err := stderr.Read(buf[:])
		c.add(buf[:n])
		if err != nil {
			break
		}
	}
	c.finish()
}

var stderrPool = sync.Pool{New: func() any { return new([stderrLine]byte) }}

func (c *stderrLog) add(p []byte) {
	if c.raw != nil && len(p) > 0 {
		rest := p[:min(len(p), max(0, stderrTotal-c.logged))]
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
	case c.logged+len(line) > stderrTotal || c.suppressed > 0:
		c.suppressed += int64(len(line))
	default:
		c.logged += len(line)
		c.log.LogAttrs(context.Background(), slog.LevelWarn, "program stderr",
			slog.Uint64("request", c.request), slog.String("script", c.script), slog.String("line", string(line)))
	}
	c.line = c.line[:0]
}

func (c *stderrLog) finish() {
	c.flush()
	if c.suppressed > 0 {
		c.log.LogAttrs(context.Background(), slog.LevelWarn, "program stderr suppressed",
			slog.Uint64("request", c.request), slog.String("script", c.script),
			slog.Int64("bytes", c.suppressed), slog.Int("limit", stderrTotal))
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

// complain tells the web server, if it is to have the programs' stderr, why a request
// is refused.
func (a *App) complain(w cgi.ResponseWriter, err error) error {
	var f *Finding
	if a.StderrToClient && errors.As(err, &f) {
		_ = cgi.WriteStderr(w, []byte(f.Error()+"\n")) // the log has it
	}
	return err
}
