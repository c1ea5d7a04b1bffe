package validate

import "io"

// A reader is a stream of the request as the application gets it. It has no method
// but Read.
type reader struct {
	exchange *exchange
	name     string
	next     io.Reader
}

// Read implements io.Reader.
func (r *reader) Read(p []byte) (int, error) {
	r.exchange.beginCall(&r.exchange.reads, r.name)
	defer r.exchange.endCall(&r.exchange.reads)
	if err := r.checkRead(p); err != nil {
		return 0, err
	}
	return r.next.Read(p)
}

// V38: Read gets a buffer that is not empty.
func (r *reader) checkRead(p []byte) error {
	if len(p) == 0 {
		return r.exchange.noteBroken(broken("V38", "%s is read into an empty buffer, which tells nothing", r.name))
	}
	return nil
}

// V40: the body is not closed. That a body has no method Close is the check.

// A body is the request's Body.
type body struct{ reader }

// CloseBody is what cgi.Request.CloseBody calls, which may be at any time.
func (b *body) CloseBody() {
	x := b.exchange
	x.beginCall(&x.calls, b.name)
	defer x.endCall(&x.calls)
	x.outer.CloseBody()
}

// V41: Stderr is written to by Write alone. V42: it is not closed. That stderr has
// no other method is the check.

// A stderr is the request's Stderr.
type stderr struct {
	exchange *exchange
	next     io.Writer
}

// Write implements io.Writer.
func (s *stderr) Write(p []byte) (int, error) {
	s.exchange.beginCall(&s.exchange.calls, "r.Stderr")
	defer s.exchange.endCall(&s.exchange.calls)
	return s.next.Write(p)
}
