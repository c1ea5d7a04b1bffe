package script

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"time"

	"gatehouse/cgi"
)

// answer passes the program's answer on. When it returns, either the program has
// ended, or it is being ended, or it has closed its stdout.
func (u *run) answer() error {
	buf := bufferPool.Get().(*[copyBuffer]byte)
	defer bufferPool.Put(buf)
	u.parser = parserPool.Get().(*cgi.HeadParser)
	u.parser.Reset(u.limits.HeadBytes)
	defer func() {
		u.parser.Reset(0)
		parserPool.Put(u.parser)
	}()
	out := u.proc.stdout
	for {
		n, ready, err := out.readOr(buf[:], u.spliceLeast())
		if ready > 0 {
			if err := u.pass(ready); err != nil {
				return err
			}
			continue
		}
		if n > 0 {
			u.touch()
			u.answered.Store(true)
			if err := u.take(buf[:n]); err != nil {
				return err
			}
		}
		switch {
		case err == nil:
		case errors.Is(err, os.ErrDeadlineExceeded):
			if cause := u.endCause(); cause != nil {
				return cause
			}
			if u.proc.hasExited() {
				return u.drain(buf[:])
			}
			if err := u.flush(); err != nil {
				return err
			}
		case err == io.EOF:
			return u.ended()
		default:
			err = u.errorf(http.StatusBadGateway, "reading its output: %w", err)
			u.end(err)
			return err
		}
	}
}

// drain takes what a program that has ended left in its stdout, which a child of
// its may still hold open.
func (u *run) drain(buf []byte) error {
	for left := u.proc.stdout.pending(); left > 0; {
		n, err := u.proc.stdout.readNow(buf[:min(left, len(buf))])
		if n > 0 {
			u.answered.Store(true)
			if err := u.take(buf[:n]); err != nil {
				return err
			}
		}
		if err != nil {
			break
		}
		left -= n
	}
	return u.ended()
}

// take takes a piece of output. An error ends the program.
func (u *run) take(b []byte) error {
	if !u.headDone {
		n, done, err := u.parser.Feed(b)
		if err != nil {
			err = u.errorf(http.StatusBadGateway, "%w", err)
			u.end(err)
			return err
		}
		if !done {
			return nil
		}
		u.headDone = true
		b = b[n:]
		u.redirects = u.follows && u.parser.Head().LocalRedirect
		if !u.redirects {
			if err := u.begin(); err != nil {
				return err
			}
		}
	}
	if u.redirects {
		if len(b) == 0 {
			return nil
		}
		u.redirects = false // a document goes with it, for the client
		if err := u.begin(); err != nil {
			return err
		}
	}
	if u.chunks != nil {
		return u.takeChunks(b)
	}
	return u.takeBody(b)
}

// takeBody takes a piece of the body.
func (u *run) takeBody(b []byte) error {
	if u.overrun {
		return u.discard(len(b))
	}
	if len(b) == 0 {
		return u.unflush()
	}
	u.sending.Store(true)
	_, err := u.w.Write(b)
	u.touch()
	u.sending.Store(false)
	switch {
	case err == nil:
		return u.unflush()
	case errors.Is(err, cgi.ErrContentLength):
		u.overrun = true
		return nil
	}
	u.end(err)
	return err
}

// begin begins the response with the program's head. An error ends the program.
func (u *run) begin() error {
	h := u.parser.Head()
	if h.Traceback {
		u.app.log().LogAttrs(context.Background(), slog.LevelWarn, "program failed, and shows its traceback (cgitb) in the answer",
			slog.Uint64("request", u.id), slog.String("script", u.target.path))
	}
	if u.nph {
		if err := u.beginNPH(h); err != nil {
			return err
		}
	}
	err := u.w.StartResponse(h.Status, h.Fields)
	if err != nil {
		err = u.errorf(http.StatusBadGateway, "%w", err)
		u.end(err)
	}
	return err
}

// spliceLeast returns how many bytes of output are moved without a copy; 0 for none.
func (u *run) spliceLeast() int {
	if !u.headDone || u.redirects || u.chunks != nil || u.overrun || u.copying {
		return 0
	}
	return spliceMin
}

// pass has n bytes of output, which stand in the pipe, moved on. An error ends the
// program.
func (u *run) pass(n int) error {
	u.touch()
	u.sending.Store(true)
	_, err := u.proc.stdout.send(u.w, n)
	u.touch()
	u.sending.Store(false)
	switch {
	case err == nil:
		if u.unflushed {
			u.unflushed = false
			u.proc.stdout.waitUntil(time.Time{})
		}
		return nil
	case errors.Is(err, http.ErrNotSupported):
		u.copying = true
		return nil
	}
	u.end(err)
	return err
}

// discard counts what nobody gets.
func (u *run) discard(n int) error {
	if u.discarded += n; u.discarded <= discardBytes {
		return nil
	}
	u.end(cgi.ErrContentLength)
	return cgi.ErrContentLength
}

// unflush notes that something waits to be sent on.
func (u *run) unflush() error {
	if u.unflushed {
		return nil
	}
	u.unflushed = true
	if u.nph {
		return u.flush()
	}
	u.proc.stdout.waitUntil(time.Now().Add(flushDelay))
	return nil
}

func (u *run) flush() error {
	u.proc.stdout.waitUntil(time.Time{})
	if !u.unflushed {
		return nil
	}
	u.unflushed = false
	u.sending.Store(true)
	err := u.w.Flush()
	u.touch()
	u.sending.Store(false)
	if err != nil {
		u.end(err)
	}
	return err
}

// ended settles the answer at the end of the program's output.
func (u *run) ended() error {
	if !u.settle() && !u.proc.hasExited() {
		timer := time.NewTimer(exitDelay)
		defer timer.Stop()
		select {
		case <-u.proc.exited:
		case <-timer.C:
		}
	}
	if cause := u.endCause(); cause != nil {
		return cause
	}
	if !u.proc.hasExited() {
		if u.headDone {
			return u.complete()
		}
		err := u.errorf(http.StatusBadGateway, "%w; it has closed its stdout and runs on", u.parser.End())
		u.end(err)
		return err
	}
	s := u.proc.status
	switch {
	case !u.headDone:
		return u.errorf(http.StatusBadGateway, "%w; %v", u.parser.End(), s)
	case s.signal != "":
		return u.errorf(http.StatusBadGateway, "%v", s)
	case s.code != 0:
		cgi.SetExitStatus(u.w, s.code)
		u.app.log().LogAttrs(context.Background(), slog.LevelWarn, "program ended with a status",
			slog.Uint64("request", u.id), slog.String("script", u.target.path), slog.Int("status", s.code))
	}
	return u.complete()
}

// complete returns nil if the answer is whole, or the error that asks for a local
// redirect if it was one.
func (u *run) complete() error {
	switch {
	case u.redirects:
		return fmt.Errorf("%s: %w", u.target.path, &cgi.LocalRedirect{Location: u.parser.Head().Location()})
	case u.chunks != nil && !u.chunks.done():
		return u.errorf(http.StatusBadGateway, "its chunked body has no end: %w", io.ErrUnexpectedEOF)
	}
	return nil
}
