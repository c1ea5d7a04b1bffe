package backend

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync"
	"time"

	"gatehouse/cgi"
	"gatehouse/cgi/spool"
)

const (
	// stallAfter is how long a client is waited for until its response is read ahead of it.
	stallAfter = 2 * time.Millisecond

	// heldBack is how much of a response is held back in this process in any case, so that no
	// client is waited for.
	heldBack = 16 << 10

	// aheadPiece is how much is read ahead at once.
	aheadPiece = 64 << 10
)

// An Ahead is the owner of a connection that is given back before the client has taken all of the
// response.
type Ahead interface {
	// Interrupt makes what is read of the Source fail, now and later.
	Interrupt(err error)

	// Release gives the connection back. The Source has come to its end, or has failed: then the
	// connection is not kept. It is called once, while the response is still sent to the client.
	Release(ended bool)
}

// A readAhead is what has come of a response that its client does not take fast enough.
//
// The goroutine that serves the client reads the Source itself, until it has waited for the client
// for stallAfter. Then another one takes over the Source, and puts into a spool what comes. It
// ends with the response, or gives the Source back once the client waits for more. If the spool
// takes no more, the Source waits for the client.
type readAhead struct {
	timer *time.Timer // of stallAfter

	mu      sync.Mutex
	output  *Output // nil once the response is over
	writing bool    // the client may be waited for
	reading bool    // another goroutine has the Source
	starved bool    // the client waits for more
	full    bool    // that goroutine waits for room
	aside   bool    // it has been told to end

	spool *spool.Spool // nil until something is kept
	piece []byte       // what came behind that …
	loan  *aheadBuffer // … in a buffer that is given back when the client has it, or nil
	err   error        // why nothing comes behind that, or nil

	more  chan struct{} // has a value when there may be more for the client
	room  chan struct{} // has a value when there may be room, or that goroutine is to end
	ended chan struct{} // closed when it has ended
}

type aheadBuffer [aheadPiece]byte

// aheadBuffers are for those that read ahead.
var aheadBuffers = sync.Pool{New: func() any { return new(aheadBuffer) }}

func newReadAhead(o *Output) *readAhead {
	return &readAhead{output: o, more: make(chan struct{}, 1), room: make(chan struct{}, 1)}
}

// signal leaves a value in a channel, unless one is there.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// setSending notes that the client may have to be waited for, or no longer.
func (a *readAhead) setSending(on bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.writing = on
	if a.reading || a.err != nil {
		return
	}
	a.output.Activity.SetSending(on)
	switch {
	case !on:
		a.timer.Stop()
	case a.timer == nil:
		a.timer = time.AfterFunc(stallAfter, a.stalled)
	default:
		a.timer.Reset(stallAfter)
	}
}

// stalled takes over the Source, as the client has been waited for.
func (a *readAhead) stalled() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.output == nil || !a.writing || a.reading || a.err != nil {
		return
	}
	a.reading, a.ended = true, make(chan struct{})
	a.output.Activity.SetSending(false)
	ended := a.ended
	defer close(ended)
	buf := aheadBuffers.Get().(*aheadBuffer)
	for a.reading {
		a.mu.Unlock()
		n, _, err := outputReader{a.output}.read(buf[:], 0, time.Time{})
		a.mu.Lock()
		if n > 0 {
			a.keep(buf[:n])
		}
		if err != nil {
			a.end(err)
		}
		signal(a.more)
	}
	if len(a.piece) > 0 {
		a.loan = buf
	} else {
		aheadBuffers.Put(buf)
	}
}

// keep keeps what has come, and waits for the client where that cannot be kept. mu is held.
func (a *readAhead) keep(p []byte) {
	if a.starved {
		a.piece, a.reading = p, false
		return
	}
	if a.spool == nil {
		a.spool = spool.New(a.output.Turn.pool.Limits.Spool)
	}
	_, err := a.spool.Write(p)
	if err == nil {
		return
	}
	a.piece, a.full = p, true
	a.output.Activity.SetSending(true)
	for low := a.spool.Len() / 2; err != nil && len(a.piece) > 0 && !a.aside; {
		a.mu.Unlock()
		signal(a.more)
		<-a.room
		a.mu.Lock()
		if len(a.piece) > 0 && a.spool.Len() <= low {
			_, err = a.spool.Write(a.piece)
			low /= 2
		}
	}
	a.output.Activity.SetSending(false)
	a.piece, a.full = nil, false
}

// end notes the end of the Source, and gives its connection back. mu is held.
func (a *readAhead) end(err error) {
	a.reading, a.err = false, err
	if a.aside {
		return
	}
	o := a.output
	a.mu.Unlock()
	if err == io.EOF {
		o.release()
	} else {
		o.sourceFailed(&cgi.StatusError{Code: http.StatusBadGateway, Err: fmt.Errorf("%s: reading its output: %w", o.Turn.Name(), err)})
		o.released = true
		o.Ahead.Release(false)
	}
	a.mu.Lock()
}

// read reads what has come until the deadline, if there is one. ok is false if the Source is to be
// read instead.
func (a *readAhead) read(p []byte, until time.Time) (n int, ok bool, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	var deadline <-chan time.Time
	for {
		n, err = a.take(p)
		switch {
		case n > 0 || err != nil:
			return n, true, err
		case !a.reading:
			return 0, false, nil
		case !until.IsZero() && deadline == nil:
			timer := time.NewTimer(time.Until(until))
			defer timer.Stop()
			deadline = timer.C
		}
		a.starved = true
		a.mu.Unlock()
		select {
		case <-a.more:
		case <-deadline:
			err = os.ErrDeadlineExceeded
		}
		a.mu.Lock()
		a.starved = false
		if err != nil && len(a.piece) == 0 {
			return 0, true, err
		}
	}
}

// take takes what has come. mu is held.
func (a *readAhead) take(p []byte) (n int, err error) {
	switch {
	case a.spool != nil && a.spool.Len() > 0:
		n, err = a.spool.Read(p)
	case len(a.piece) > 0:
		n = copy(p, a.piece)
		if a.piece = a.piece[n:]; len(a.piece) == 0 && a.loan != nil {
			aheadBuffers.Put(a.loan)
			a.loan = nil
		}
	default:
		return 0, a.err
	}
	if a.full {
		signal(a.room)
	}
	return n, err
}

// close ends the reading ahead, and lets go of what nobody takes any more.
func (a *readAhead) close() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.aside = true
	if a.timer != nil {
		a.timer.Stop()
	}
	if a.ended != nil {
		if a.reading {
			a.output.Ahead.Interrupt(errAside)
			signal(a.room)
		}
		a.mu.Unlock()
		<-a.ended
		a.mu.Lock()
	}
	a.output = nil
	if a.spool != nil {
		a.spool.Close()
	}
}

// errAside is what interrupts a Source that nobody reads any more.
var errAside = errors.New("the client takes no more of the response")
