package conform

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"

	"gatehouse/fastcgi/client"
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
	base     *baseline
	sessions []*session
}

func (t *Target) probe(ctx context.Context, base *baseline) *probe {
	p := &probe{Target: t, base: base}
	p.ctx, p.cancel = context.WithTimeout(ctx, t.timeout())
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
	conn    *client.Conn // nil: not made
	err     error        // of the connection; for good
	read    int          // bytes
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
	var err error
	if s.conn, err = client.Dial(p.ctx, p.Network, p.Address); err != nil {
		s.err = fmt.Errorf("no connection: %w", reason(err))
	}
	return s
}

// close closes the connection. It may be called twice.
func (s *session) close() {
	if s.conn != nil {
		s.conn.Close()
		s.writers.Wait()
	}
}

// send writes. That the endpoint does not take it is no error here: its answer may be
// on its way, and reading tells.
func (s *session) send(parts ...[]byte) {
	if s.conn != nil {
		s.conn.Send(s.p.ctx, slices.Concat(parts...))
	}
}

// sendMeanwhile writes while the session is read.
func (s *session) sendMeanwhile(parts ...[]byte) {
	s.writers.Go(func() { s.send(parts...) })
}

// next reads and sorts one record.
func (s *session) next(ctx context.Context) error {
	if s.err != nil {
		return s.err
	}
	h, content, err := s.conn.ReadRecord(ctx)
	if err == nil {
		s.read += record.HeaderLen + len(content) + h.PaddingLength()
	}
	switch {
	case s.read > maxRead:
		err = errFlood
	case err == nil:
		return s.sort(h.Type(), h.ID(), content)
	case errors.Is(err, context.Cause(ctx)):
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
		if err := s.next(s.p.ctx); err != nil {
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
		if err := s.next(s.p.ctx); err != nil {
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
	ctx, cancel := context.WithTimeout(s.p.ctx, s.p.quiet())
	defer cancel()
	for s.next(ctx) == nil {
		records++
	}
	return records
}

// forget makes room for a new answer with an id that was used.
func (s *session) forget(id uint16) { delete(s.answers, id) }
