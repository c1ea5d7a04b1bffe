package fastcgi

import (
	"cmp"
	"fmt"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"gatehouse/cgi"
	"gatehouse/fastcgi/record"
	"gatehouse/internal/frontend"
)

const (
	// outHeld is how much of a response is held back until Flush or Finish.
	outHeld = 24 << 10
	// recordsPerWrite bounds the records of one write.
	recordsPerWrite = 8
)

// poison is a record of version 0: both nginx and Apache report a response that
// ends so as broken, over TCP and unix sockets.
var poison = make([]byte, record.HeaderLen)

// A vector is what one write of several records needs.
type vector struct {
	iov     net.Buffers
	parts   [2*recordsPerWrite + 1][]byte
	headers [recordsPerWrite * record.HeaderLen]byte
}

var vectors = sync.Pool{New: func() any { return new(vector) }}

// A sink writes a response as STDOUT records. Its buffer holds room for a record
// header, then what is held back of head and body.
type sink struct {
	r      *request
	buf    []byte
	out    bool // a STDOUT record has been sent
	broken bool // a write failed for the deadline: the response has a gap

	complained atomic.Bool               // a STDERR record has been sent
	deadlines  atomic.Pointer[deadlines] // nil until one is set
}

func (s *sink) held() int { return max(len(s.buf)-record.HeaderLen, 0) }

// WriteHead implements cgi.Sink.
func (s *sink) WriteHead(h *cgi.Head) error {
	if err := s.aborted(); err != nil {
		return err
	}
	s.reserve()
	s.buf = h.AppendCGI(s.buf)
	return nil
}

// reserve makes room for the header of the record that the held bytes become.
func (s *sink) reserve() {
	if len(s.buf) == 0 {
		s.buf = append(s.buf, make([]byte, record.HeaderLen)...)
	}
}

// Write implements cgi.Sink.
func (s *sink) Write(p []byte) (int, error) {
	if err := s.aborted(); err != nil {
		return 0, err
	}
	if s.held()+len(p) <= outHeld {
		s.reserve()
		s.buf = append(s.buf, p...)
		return len(p), nil
	}
	return s.sendStream(s.encode(), p)
}

// Flush implements cgi.Sink.
func (s *sink) Flush() error {
	if err := s.aborted(); err != nil {
		return err
	}
	if s.held() == 0 {
		return nil
	}
	err := s.send(s.encode())
	s.buf = s.buf[:0]
	return err
}

// stderrContent is how much of STDERR a record holds. HAProxy 2.6, of which Debian has a
// version without the correction, ends by a signal when one of more than its buffer of 16 KB
// arrives, or one without padding and nothing behind it (HAProxy's issue 2150).
const stderrContent = 8 << 10

var zeros [8]byte

// appendStderr appends p as STDERR records, each with some padding.
func appendStderr(b []byte, id uint16, p []byte) []byte {
	for len(p) > 0 {
		n := min(len(p), stderrContent)
		padding := 8 - n%8
		b = record.AppendHeader(b, record.Stderr, id, n, padding)
		b = append(b, p[:n]...)
		b = append(b, zeros[:padding]...)
		p = p[n:]
	}
	return b
}

// WriteStderr sends p as STDERR records, at once. See cgi.WriteStderr.
func (s *sink) WriteStderr(p []byte) error {
	if s.r.set.T.noStderr {
		return http.ErrNotSupported
	}
	if len(p) == 0 {
		return nil // nothing is said, and nothing will have to be ended
	}
	if err := s.aborted(); err != nil {
		return err
	}
	s.complained.Store(true)
	return s.r.c.send(appendStderr(nil, s.r.id, p))
}

// encode makes records of what is held, in place where it is one.
func (s *sink) encode() []byte {
	n := s.held()
	switch {
	case n == 0:
		return s.buf[:0]
	case n <= record.MaxContent:
		record.PutHeader(s.buf, record.Stdout, s.r.id, n, 0)
	default:
		s.buf = record.AppendStream(nil, record.Stdout, s.r.id, s.buf[record.HeaderLen:])
	}
	s.out = true
	return s.buf
}

// aborted returns why nobody takes the response any more.
func (s *sink) aborted() error {
	if atomic.LoadUint32(&s.r.stopped) == 0 {
		return nil
	}
	c := s.r.c
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.dead != nil {
		return c.dead
	}
	return s.r.context.Cause()
}

// Finish implements cgi.Sink.
func (s *sink) Finish(o cgi.Outcome) error {
	c, id := s.r.c, s.r.id
	c.mu.Lock()
	dead, aborted, siblings := c.dead, s.r.context.Cause() != nil, len(c.reqs) > 1
	if o.Overdue {
		c.expire(s.r)
		c.answering++
		defer c.resume()
	}
	// The peer may use the id again as soon as it has read END_REQUEST.
	c.remove(s.r)
	c.mu.Unlock()
	if d := s.deadlines.Load(); d != nil {
		defer d.detach()
	}
	if dead != nil {
		return dead
	}
	status := uint32(o.ExitStatus)
	var late error
	switch {
	case aborted:
		return c.send(record.AppendEndRequest(s.buf[:0], id, status, record.RequestComplete))
	case o.End == cgi.Complete:
		b := s.encode()
		b = record.AppendHeader(b, record.Stdout, id, 0, 0)
		if s.complained.Load() {
			b = record.AppendHeader(b, record.Stderr, id, 0, 0)
		}
		s.buf = record.AppendEndRequest(b, id, status, record.RequestComplete)
		if late = s.send(s.buf); late != frontend.ErrWriteLate {
			return late
		}
	}
	if s.broken {
		s.buf = s.buf[:0] // a part of it that went out has ended the connection
	}
	if siblings {
		c.srv.log().Warn("the web server cannot see this truncation: other requests share the connection", s.r.cgi.LogAttr(), "peer", c.peer())
		s.buf = record.AppendEndRequest(s.encode(), id, max(status, 1), record.RequestComplete)
		return cmp.Or(late, c.send(s.buf))
	}
	if s.broken {
		// The peer may take nothing at all.
		c.sock.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
	}
	s.buf = append(s.encode(), poison...)
	err := cmp.Or(late, c.send(s.buf))
	c.mu.Lock()
	c.close(fmt.Errorf("%w: a response was truncated", cgi.ErrAborted))
	c.mu.Unlock()
	return err
}

// send writes b, which is the connection's own, at once.
func (c *conn) send(b []byte) error {
	c.out.mu.Lock()
	c.beginWrite()
	_, err := c.sock.Write(b)
	c.endWrite()
	return c.sent(err)
}

// send writes b, a part of the response, at once.
func (s *sink) send(b []byte) error {
	c := s.r.c
	if err := s.beginWrite(); err != nil {
		return err
	}
	n, err := c.sock.Write(b)
	s.endWrite()
	if s.endedLate(err) {
		return s.sentLate(int64(n))
	}
	return c.sent(err)
}

// sendStream writes records that stand ready, and p as further STDOUT records,
// without copying p. It returns how much of p was sent. Others on the connection get
// their turn between two writes.
func (s *sink) sendStream(ready, p []byte) (n int, err error) {
	v := vectors.Get().(*vector)
	for err == nil && n < len(p) {
		var m int
		m, err = s.sendRecords(v, ready, p[n:])
		n += m
		ready = nil
	}
	clear(v.parts[:])
	vectors.Put(v)
	return n, err
}

// sendRecords is one write of sendStream.
func (s *sink) sendRecords(v *vector, ready, p []byte) (n int, err error) {
	c := s.r.c
	if err := s.beginWrite(); err != nil {
		return 0, err
	}
	if s.out {
		c.sock.GrowSendBuffer()
	}
	v.iov = append(v.parts[:0], ready)
	for i := 0; i < recordsPerWrite && n < len(p); i++ {
		part := p[n:min(len(p), n+record.MaxAligned)]
		h := v.headers[i*record.HeaderLen : (i+1)*record.HeaderLen]
		record.PutHeader(h, record.Stdout, s.r.id, len(part), 0)
		v.iov = append(v.iov, h, part)
		n += len(part)
	}
	out, err := c.sock.WriteBuffers(&v.iov)
	s.buf, s.out = s.buf[:0], true
	s.endWrite()
	switch {
	case err == nil:
		return n, nil
	case s.endedLate(err):
		return 0, s.sentLate(out)
	}
	return 0, c.sent(err)
}

// beginWrite starts the time limit of a write; the outlet is locked.
func (c *conn) beginWrite() {
	c.out.since.Store(max(int64(c.srv.acceptor.Now()), 1))
}

func (c *conn) endWrite() {
	c.out.since.Store(0)
	c.out.mu.Unlock()
}

// beginWrite locks the outlet for a write of the response, unless its deadline passes before.
func (s *sink) beginWrite() error {
	c := s.r.c
	d := s.deadlines.Load()
	if d == nil {
		c.out.mu.Lock()
	} else if err := d.lock(); err != nil {
		s.broken = true
		return err
	}
	// From here on the deadline ends the write; it has not seen this, if it has passed.
	c.out.owner.Store(s)
	if s.expired() {
		s.broken = true
		s.endWrite()
		return frontend.ErrWriteLate
	}
	c.beginWrite()
	return nil
}

func (s *sink) endWrite() {
	c := s.r.c
	c.out.owner.Store(nil)
	if s.expired() {
		// What it did to the socket is not for the others.
		c.mu.Lock()
		c.sock.SetWriteDeadline(time.Time{})
		c.mu.Unlock()
	}
	c.endWrite()
}

// sent handles the result of a write.
func (c *conn) sent(err error) error {
	if err == nil {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.close(fmt.Errorf("%w: %w", ErrConnClosed, err))
	return c.dead
}
