package client

import (
	"fmt"
	"io"
	"iter"
	"sync"
	"time"

	"gatehouse/fastcgi/record"
)

// A Request is what [Conn.Do] sends.
type Request struct {
	// Role is what the application is asked to be. Zero is a Responder.
	Role record.Role

	// ID is the request id, which must not be in use. Zero is the lowest that is free.
	ID uint16

	// KeepConn asks the application to keep the connection after the response. Without it
	// the connection takes no further request.
	KeepConn bool

	// Await is how long Begin may wait for the response, once all of the request has been
	// sent: to send and to wait in one step costs less than to do both by themselves.
	// Meanwhile no other request can be sent on the connection. Zero is not at all.
	Await time.Duration

	// SendTimeout bounds the sending of what Begin sends: the variables, and short streams.
	// After it, the error is a timeout, and the connection takes no further request. Zero is
	// no bound.
	SendTimeout time.Duration

	// Params are the variables, in order, such as cgi.Environ.All and maps.All return; nil
	// is none. They are sent as they are: the application learns of the length of Stdin by
	// a CONTENT_LENGTH among them.
	Params iter.Seq2[string, string]

	// Stdin is the body; nil is an empty one. It is read while the response is, until it
	// ends or the application ends the request. If it fails, so does the request, and the
	// application learns of it: a body that breaks off is never passed off as complete.
	//
	// If it is an io.Closer it is closed, once, and not after the response is closed.
	// Response.Close waits for a Read that is under way, so one that may block has to be an
	// io.Closer whose Close ends that.
	Stdin io.Reader

	// Data is the file of a Filter (FastCGI 1.0 § 6.4), sent behind Stdin. What is said of
	// Stdin holds for it. In other roles it must be nil.
	Data io.Reader

	// Stderr gets what the application writes to its stream of errors, within the calls of
	// Do, Read and Close. Its errors do not matter. Nil is nowhere.
	Stderr io.Writer
}

const (
	// defaultParamsBytes is what servers commonly accept.
	defaultParamsBytes = 1 << 20
	// smallStream is how long a stream may be to be sent at once with the variables: the
	// buffers of every socket take as much, so that nobody has to read meanwhile.
	smallStream = 8 << 10
	// streamRecord is how much content the records of a stream have.
	streamRecord = 32 << 10
)

// bufferPool holds the buffers of what is sent.
var bufferPool = sync.Pool{New: func() any {
	b := make([]byte, 0, record.HeaderLen+streamRecord+8)
	return &b
}}

// freeBuffer returns a buffer to the pool, unless it has become large.
func freeBuffer(b *[]byte) {
	if cap(*b) <= 2*streamRecord {
		*b = (*b)[:0]
		bufferPool.Put(b)
	}
}

// appendBegin appends all of the request but its streams.
func (r *Request) appendBegin(dst []byte, id uint16, limit int) ([]byte, error) {
	role, flags := r.Role, byte(0)
	if role == 0 {
		role = record.Responder
	}
	if r.KeepConn {
		flags = record.KeepConn
	}
	dst = record.AppendBegin(dst, id, role, flags)
	dst, err := r.appendParams(dst, id, limit)
	if err != nil {
		return nil, err
	}
	return record.AppendRecord(dst, record.Params, id, nil), nil
}

// appendParams appends the records of PARAMS. No pair is split between two of them if it
// fits into one: not every application can join it again.
func (r *Request) appendParams(dst []byte, id uint16, limit int) ([]byte, error) {
	if r.Params == nil {
		return dst, nil
	}
	if limit == 0 {
		limit = defaultParamsBytes
	}
	e := encoderPool.Get().(*encoder)
	defer encoderPool.Put(e)
	pairs := bufferPool.Get().(*[]byte)
	defer freeBuffer(pairs)
	e.dst, e.pairs, e.id, e.limit, e.sent, e.err = dst, *pairs, id, limit, 0, nil
	r.Params(e.yield)
	dst, *pairs = e.dst, e.pairs
	e.dst, e.pairs = nil, nil
	if e.err != nil {
		return nil, e.err
	}
	return record.AppendStream(dst, record.Params, id, *pairs), nil
}

// An encoder writes pairs as records of PARAMS. It is pooled together with its method, as a
// loop over a function would allocate each of its variables.
type encoder struct {
	dst, pairs []byte
	id         uint16
	limit      int
	sent       int // bytes of pairs in dst
	err        error
	yield      func(name, value string) bool // add
}

var encoderPool = sync.Pool{New: func() any {
	e := new(encoder)
	e.yield = e.add
	return e
}}

// add adds a pair.
func (e *encoder) add(name, value string) bool {
	if n := len(name) + len(value); e.limit > 0 && n > e.limit {
		e.err = paramsTooLong(e.limit)
		return false
	}
	before := len(e.pairs)
	e.pairs = record.AppendPair(e.pairs, name, value)
	if e.limit > 0 && e.sent+len(e.pairs) > e.limit {
		e.err = paramsTooLong(e.limit)
		return false
	}
	if before > 0 && len(e.pairs) > record.MaxAligned {
		e.dst = record.AppendStream(e.dst, record.Params, e.id, e.pairs[:before])
		e.pairs = e.pairs[:copy(e.pairs, e.pairs[before:])]
		e.sent += before
	}
	return true
}

func paramsTooLong(limit int) error {
	return fmt.Errorf("%w: more than %d (ParamsBytes)", ErrParamsBytes, limit)
}

// A stream is one that is sent with a request.
type stream struct {
	typ  record.Type
	from io.Reader // nil: it ends at once
}

// appendStreams appends what follows PARAMS (FastCGI 1.0 § 6).
func (r *Request) appendStreams(to []stream) []stream {
	to = append(to, stream{record.Stdin, r.Stdin})
	if r.Role == record.Filter {
		to = append(to, stream{record.Data, r.Data})
	}
	return to
}

// appendSmall appends those of the streams that are short, and known to be, and returns
// the others.
func appendSmall(dst []byte, id uint16, streams []stream) ([]byte, []stream, error) {
	for i, s := range streams {
		if s.from != nil {
			known, ok := s.from.(interface{ Len() int })
			if !ok || known.Len() > smallStream {
				return dst, streams[i:], nil
			}
			content := make([]byte, known.Len())
			if _, err := io.ReadFull(s.from, content); err != nil {
				return nil, nil, fmt.Errorf("read %v: %w", s.typ, err)
			}
			dst = record.AppendStream(dst, s.typ, id, content)
		}
		dst = record.AppendRecord(dst, s.typ, id, nil)
	}
	return dst, nil, nil
}

// sendStreams sends streams to their ends, or until x has ended.
func (x *exchange) sendStreams(streams []stream) error {
	buf := bufferPool.Get().(*[]byte)
	defer freeBuffer(buf)
	for _, s := range streams {
		if err := x.sendStream(s, (*buf)[:cap(*buf)]); err != nil {
			return err
		}
	}
	return nil
}

func (x *exchange) sendStream(s stream, buf []byte) error {
	for s.from != nil {
		n, err := s.from.Read(buf[record.HeaderLen : record.HeaderLen+streamRecord])
		if n > 0 {
			padding := record.Padding(n)
			record.PutHeader(buf, s.typ, x.id, n, padding)
			end := record.HeaderLen + n + padding
			clear(buf[end-padding : end])
			if err := x.write(buf[:end]); err != nil {
				return err
			}
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			x.cancel(fmt.Errorf("read %v: %w", s.typ, err))
			return err
		}
	}
	return x.write(record.AppendRecord(buf[:0], s.typ, x.id, nil))
}
