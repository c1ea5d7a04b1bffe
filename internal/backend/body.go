package backend

import (
	"bytes"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"gatehouse/cgi"
	"gatehouse/cgi/relay"
	"gatehouse/cgi/spool"
)

// SmallBody is how long a body may be to be read as a whole and sent at once, together with
// the variables.
const SmallBody = 8 << 10

// A Body is the body of a request on its way to an application. Its length is known.
type Body struct {
	Length int64

	small    *bytes.Reader
	from     io.Reader // nil if there is nothing to read, or small
	request  *cgi.Request
	taken    cgi.TakenBody
	activity *relay.Activity
	ended    atomic.Bool // nothing is read any more

	mu  sync.Mutex
	err error
}

// TakeBody returns the body of r, as far as [cgi.TakeBody] waits for it. The errors are those of
// that.
func TakeBody(r *cgi.Request, l spool.Limits, streaming bool) (*Body, error) {
	return take(r, streaming, func() (cgi.TakenBody, error) { return cgi.TakeBody(r, l, streaming) })
}

// TakeWholeBody returns the body of r once all of it has come, as [cgi.TakeWholeBody] does.
func TakeWholeBody(r *cgi.Request, l spool.Limits) (*Body, error) {
	return take(r, false, func() (cgi.TakenBody, error) { return cgi.TakeWholeBody(r, l) })
}

// take returns the body of r, which a function takes unless it is small.
func take(r *cgi.Request, streaming bool, large func() (cgi.TakenBody, error)) (*Body, error) {
	b := &Body{Length: r.ContentLength}
	if !streaming && b.Length >= 0 && b.Length <= SmallBody {
		return b, b.keep(r.Body)
	}
	var err error
	if b.taken, err = large(); err != nil {
		return nil, err
	}
	b.Length = b.taken.Length
	if b.taken.Rest() != nil {
		b.request = r
	} else if b.Length <= SmallBody {
		defer b.taken.Close()
		return b, b.keep(&b.taken)
	}
	b.from = &b.taken
	return b, nil
}

// keep reads a small body.
func (b *Body) keep(from io.Reader) error {
	if b.Length == 0 {
		return nil
	}
	content := make([]byte, b.Length)
	if _, err := io.ReadFull(from, content); err != nil {
		return cgi.BodyError(err)
	}
	b.small = bytes.NewReader(content)
	return nil
}

// Start starts the time of a, which notes from now on what is read.
func (b *Body) Start(a *relay.Activity) {
	b.activity = a
	if b.from == nil {
		a.StartPassed()
	} else {
		a.Start()
	}
}

// Reader returns what the application is sent: nil for nothing, and a reader with a method
// Len if the whole body is here, which may be read again after another call.
func (b *Body) Reader() io.Reader {
	switch {
	case b.small != nil:
		b.small.Seek(0, io.SeekStart)
		return b.small
	case b.from != nil:
		return b
	}
	return nil
}

// UnboundWrite takes the bound of Turn.BoundWrite back where the body is still to be sent:
// whoever reads the response sees that nothing moves.
func (b *Body) UnboundWrite(nc net.Conn) {
	if b.from != nil {
		nc.SetWriteDeadline(time.Time{})
	}
}

// Read implements io.Reader.
func (b *Body) Read(p []byte) (int, error) {
	n, err := b.from.Read(p)
	b.activity.Touch()
	if err == io.EOF {
		b.end()
	} else if err != nil && !b.ended.Load() {
		b.mu.Lock()
		b.err = cgi.BodyError(err)
		b.mu.Unlock()
	}
	return n, err
}

// Close ends the reading of a body that nobody will read any more.
func (b *Body) Close() error {
	if b.end() && b.request != nil {
		b.request.CloseBody()
	}
	return nil
}

// end notes that nothing is read any more, and reports whether that is new.
func (b *Body) end() bool {
	b.activity.BodyPassed()
	return b.ended.CompareAndSwap(false, true)
}

// Err returns why the request has no body: the error of a request that broke off.
func (b *Body) Err() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.err
}

// Free lets go of what was kept of the body. Nobody reads it any more.
func (b *Body) Free() { b.taken.Close() }
