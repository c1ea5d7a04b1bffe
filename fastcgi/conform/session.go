package conform

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"time"

	"gatehouse/fastcgi/record"
)

const (
	maxRead    = 16 << 20 // bytes that a session reads
	maxAnswers = 16       // ids that it keeps answers for
	maxOther   = 16       // management records that it keeps
)

var (
	errSilent  = errors.New("nothing more came within the time limit")
	errFlood   = fmt.Errorf("more than %d MiB came", maxRead>>20)
	errManyIDs = fmt.Errorf("records for more than %d request ids came", maxAnswers)
	errGone    = errors.New("the connection was closed")
)

// A probe is what one check has: a time limit, and the sessions it opened.
type probe struct {
	*Target
	ctx      context.Context
	cancel   context.CancelFunc
	deadline time.Time
	base     *baseline
	sessions []*session
}

func (t *Target) probe(ctx context.Context, base *baseline) *probe {
	p := &probe{Target: t, base: base, deadline: time.Now().Add(t.timeout())}
	p.ctx, p.cancel = context.WithDeadline(ctx, p.deadline)
	return p
}

// close closes what the check left open.
func (p *probe) close() {
	p.cancel()
	for _, s := range p.sessions {
		s.close()
	}
}

// A session is one connection to the endpoint. If it could not be made, every read
// returns the reason.
type session struct {
	p       *probe
	conn    net.Conn // nil: not made
	r       *record.Reader
	source  io.LimitedReader
	err     error // of the connection; for good
	stop    func() bool
	writers sync.WaitGroup

	answers map[uint16]*answer
	other   []other // management records, or what looks like them
}

// An other is a record that is no part of an answer.
type other struct {
	typ     record.Type
	id      uint16
	content []byte
}

func (o other) String() string {
	return fmt.Sprintf("%v with request id %d and %d bytes", o.typ, o.id, len(o.content))
}

// dial opens a session.
func (p *probe) dial() *session {
	s := &session{p: p, answers: make(map[uint16]*answer)}
	p.sessions = append(p.sessions, s)
	c, err := new(net.Dialer).DialContext(p.ctx, p.Network, p.Address)
	if err != nil {
		s.err = fmt.Errorf("no connection: %w", reason(err))
		return s
	}
	s.conn = c
	c.SetDeadline(p.deadline)
	s.stop = context.AfterFunc(p.ctx, func() { c.SetDeadline(time.Unix(1, 0)) })
	s.source = io.LimitedReader{R: c, N: maxRead}
	s.r = record.NewReader(&s.source)
	return s
}

// close closes the connection. It may be called twice.
func (s *session) close() {
	if s.conn == nil {
		return
	}
	s.stop()
	s.conn.Close()
	s.writers.Wait()
}

// send writes. That the endpoint does not take it is no error here: its answer may be
// on its way, and reading tells.
func (s *session) send(parts ...[]byte) {
	if s.conn != nil {
		s.conn.Write(slices.Concat(parts...))
	}
}

// sendMeanwhile writes while the session is read.
func (s *session) sendMeanwhile(parts ...[]byte) {
	s.writers.Go(func() { s.send(parts...) })
}

// next reads and sorts one record.
func (s *session) next() error {
	if s.err != nil {
		return s.err
	}
	h, content, err := s.r.Next()
	var ne net.Error
	switch {
	case err == nil:
		return s.sort(h.Type(), h.ID(), content)
	case s.source.N <= 0:
		err = errFlood
	case errors.As(err, &ne) && ne.Timeout():
		return errSilent // a read that was meant to be short may go on
	case errors.Is(err, record.ErrVersion):
		err = fmt.Errorf("%w by a record of another version", errGone)
	case errors.Is(err, io.ErrUnexpectedEOF):
		err = fmt.Errorf("%w inside of a record", errGone)
	case errors.Is(err, io.EOF):
		err = errGone
	default:
		err = fmt.Errorf("%w: %w", errGone, reason(err))
	}
	s.err = err
	return err
}

// sort puts a record where it belongs.
func (s *session) sort(typ record.Type, id uint16, content []byte) error {
	switch typ {
	case record.Stdout, record.Stderr, record.EndRequest:
		a := s.answers[id]
		if a == nil {
			if len(s.answers) == maxAnswers {
				s.err = errManyIDs
				return s.err
			}
			a = new(answer)
			s.answers[id] = a
		}
		a.add(typ, content)
	default:
		if len(s.other) < maxOther {
			s.other = append(s.other, other{typ, id, slices.Clone(content[:min(len(content), maxKept)])})
		}
	}
	return nil
}

// until reads until done, which it asks first.
func (s *session) until(done func() bool) error {
	for !done() {
		if err := s.next(); err != nil {
			return err
		}
	}
	return nil
}

// untilEnd reads until END_REQUEST has come for id.
func (s *session) untilEnd(id uint16) error {
	return s.until(func() bool { return s.answers[id].ended() })
}

// untilOther reads until a management record has come, and returns it.
func (s *session) untilOther() (other, error) {
	err := s.until(func() bool { return len(s.other) > 0 })
	if err != nil {
		return other{}, err
	}
	o := s.other[0]
	s.other = s.other[1:]
	return o, nil
}

// untilGone reads until the endpoint has closed. It returns errGone then, and
// otherwise what came in the way.
func (s *session) untilGone() error {
	for {
		if err := s.next(); err != nil {
			return err
		}
	}
}

// quiet reads for a moment in which nothing should come, and returns how many records
// did. An endpoint that closes is quiet.
func (s *session) quiet() (records int) {
	if s.conn == nil {
		return 0
	}
	until := time.Now().Add(s.p.quiet())
	if until.After(s.p.deadline) {
		until = s.p.deadline
	}
	s.conn.SetReadDeadline(until)
	for s.next() == nil {
		records++
	}
	s.conn.SetReadDeadline(s.p.deadline)
	if s.p.ctx.Err() != nil {
		s.conn.SetDeadline(time.Unix(1, 0))
	}
	return records
}

// forget makes room for a new answer with an id that was used.
func (s *session) forget(id uint16) { delete(s.answers, id) }
