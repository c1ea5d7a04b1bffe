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
	maxRead      = 16 << 20 // bytes that a session reads
	maxResponses = 16       // ids that it keeps responses for
	maxOther     = 16       // management records that it keeps
)

var (
	errSilent  = errors.New("nothing more was received within the time limit")
	errFlood   = fmt.Errorf("received more than %d MiB", maxRead>>20)
	errManyIDs = fmt.Errorf("received records for more than %d request ids", maxResponses)
	errGone    = errors.New("the connection was closed")
)

// A probe holds the time limit of one check, and the sessions it opened.
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

// close closes the sessions that the check left open.
func (p *probe) close() {
	p.cancel()
	for _, s := range p.sessions {
		s.close()
	}
}

// A session is one connection to the endpoint. If connecting failed, every read returns
// the error.
type session struct {
	p       *probe
	conn    *client.Conn // nil if connecting failed
	err     error        // permanent error of the connection
	read    int          // bytes
	writers sync.WaitGroup

	responses map[uint16]*response
	other     []other // management records, and other records of no response
}

// An other is a record that is not part of a response.
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
	s := &session{p: p, responses: make(map[uint16]*response)}
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

// send writes. It ignores errors: a response may be on its way even so, and reading will
// tell.
func (s *session) send(parts ...[]byte) {
	if s.conn != nil {
		s.conn.Send(s.p.ctx, slices.Concat(parts...))
	}
}

// sendMeanwhile writes in the background while the session is read.
func (s *session) sendMeanwhile(parts ...[]byte) {
	s.writers.Go(func() { s.send(parts...) })
}

// readNext reads and stores one record.
func (s *session) readNext(ctx context.Context) error {
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
		return s.store(h.Type(), h.ID(), content)
	case errors.Is(err, context.Cause(ctx)):
		return errSilent // not permanent: the wait may have been a short one
	case errors.Is(err, record.ErrVersion):
		err = fmt.Errorf("%w by a record of another version", errGone)
	case errors.Is(err, io.ErrUnexpectedEOF):
		err = fmt.Errorf("%w in the middle of a record", errGone)
	case errors.Is(err, io.EOF):
		err = errGone
	default:
		err = fmt.Errorf("%w: %w", errGone, reason(err))
	}
	s.err = err
	return err
}

// store adds a record to its response, or to the other records.
func (s *session) store(typ record.Type, id uint16, content []byte) error {
	switch typ {
	case record.Stdout, record.Stderr, record.EndRequest:
		r := s.responses[id]
		if r == nil {
			if len(s.responses) == maxResponses {
				s.err = errManyIDs
				return s.err
			}
			r = new(response)
			s.responses[id] = r
		}
		r.add(typ, content)
	default:
		if len(s.other) < maxOther {
			s.other = append(s.other, other{typ, id, slices.Clone(content[:min(len(content), maxKept)])})
		}
	}
	return nil
}

// until reads until done returns true. It calls done first.
func (s *session) until(done func() bool) error {
	for !done() {
		if err := s.readNext(s.p.ctx); err != nil {
			return err
		}
	}
	return nil
}

// untilEnd reads until END_REQUEST is received for id.
func (s *session) untilEnd(id uint16) error {
	return s.until(func() bool { return s.responses[id].complete() })
}

// untilOther reads until it receives a management record, and returns it.
func (s *session) untilOther() (other, error) {
	err := s.until(func() bool { return len(s.other) > 0 })
	if err != nil {
		return other{}, err
	}
	o := s.other[0]
	s.other = s.other[1:]
	return o, nil
}

// untilGone reads until the endpoint closes the connection. It returns errGone then, or
// the error that prevented it.
func (s *session) untilGone() error {
	for {
		if err := s.readNext(s.p.ctx); err != nil {
			return err
		}
	}
}

// quiet reads for a moment in which nothing should be received, and returns how many
// records were. An endpoint that closes the connection is quiet.
func (s *session) quiet() (records int) {
	if s.conn == nil {
		return 0
	}
	ctx, cancel := context.WithTimeout(s.p.ctx, s.p.quiet())
	defer cancel()
	for s.readNext(ctx) == nil {
		records++
	}
	return records
}

// forget discards the response for an id, so that the id can be used again.
func (s *session) forget(id uint16) { delete(s.responses, id) }
