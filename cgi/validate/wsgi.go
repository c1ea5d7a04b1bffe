package validate

import (
	"errors"
	"io"

	"gatehouse/cgi"
)

// WSGI returns an application that runs another and checks both sides, as an [App]
// does: it is wsgiref's validator. An App around a [cgi.WSGI] does the same; this is
// for an application that stands behind a middleware, which is checked then as the
// gateway of it.
//
// The Body that it returns tells no length, so that no Content-Length is made of it.
// Warnings are lines on the request's Stderr, or where the Warn of an App around all
// of it takes them. That the Body is closed (V37) is found out by such an App alone.
func WSGI(app cgi.WSGI) cgi.WSGI {
	return func(env *cgi.Environ, start cgi.StartResponse) (cgi.Body, error) {
		r := env.Request()
		if r == nil {
			return nil, broken("V3", "the variables are no request's")
		}
		x, err := newInnerExchange(r)
		if err != nil {
			return nil, err
		}
		out := newWriter(x, &starter{begin: start})
		return x.serve(app, env, out)
	}
}

// newInnerExchange checks a request and puts the streams that the application gets in
// the place of the gateway's, until the end.
func newInnerExchange(r *cgi.Request) (*exchange, error) {
	x := &exchange{outer: new(cgi.Request), inner: r, lent: true, ending: "the body was closed"}
	if b, ok := r.Body.(*body); ok {
		x.parent = b.exchange
		x.warn = x.parent.warn
	} else {
		x.warn = new(App).warner(r.Stderr)
	}
	warn := x.warn
	if x.parent != nil {
		warn = func(string, string, ...any) {} // the parent has warned of the request
	}
	if err := checkRequest(r, warn); err != nil {
		return nil, err
	}
	*x.outer = *r
	x.lend()
	return x, nil
}

// serve calls the application. The exchange is over when the body is closed, or at
// once if there is none.
func (x *exchange) serve(app cgi.WSGI, env *cgi.Environ, out *writer) (_ cgi.Body, err error) {
	closed := true
	defer func() {
		if closed {
			x.detach()
			err = x.verdict(err)
		}
	}()
	b, err := x.callWSGI(app, env, out.startWSGI)
	if err == nil && x.failed() == nil {
		closed = false
		return &countedBody{b.(*wsgiBody), out, false}, nil
	}
	if b != nil {
		if cerr := b.Close(); cerr != nil {
			err = errors.Join(err, cerr)
		}
	}
	return nil, err
}

// startWSGI is start_response. What is written is counted, and so checked, as what a
// [cgi.ResponseWriter] gets.
func (w *writer) startWSGI(status string, headers []cgi.Field, cause error) (cgi.WriteFunc, error) {
	write := func(block []byte) error {
		_, err := w.Write(block)
		return err
	}
	if cause != nil {
		return write, w.ReplaceResponse(cause, status, headers)
	}
	return write, w.StartResponse(status, headers)
}

// A starter is the ResponseWriter of a WSGI application's gateway.
type starter struct {
	begin cgi.StartResponse
	write cgi.WriteFunc
}

// StartResponse implements cgi.ResponseWriter.
func (s *starter) StartResponse(status string, headers []cgi.Field) (err error) {
	s.write, err = s.begin(status, headers, nil)
	return err
}

// ReplaceResponse is what the function of that name in package cgi calls.
func (s *starter) ReplaceResponse(cause error, status string, headers []cgi.Field) (err error) {
	s.write, err = s.begin(status, headers, cause)
	return err
}

// Write implements cgi.ResponseWriter.
func (s *starter) Write(p []byte) (int, error) {
	if s.write == nil { // a middleware has returned an error alone
		return 0, cgi.ErrNoStart
	}
	if err := s.write(p); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Flush implements cgi.ResponseWriter.
func (s *starter) Flush() error { return nil }

// A countedBody is a body whose blocks the gateway takes from it, so that they are
// counted here.
type countedBody struct {
	*wsgiBody
	out  *writer
	told bool // the gateway has been told of the failure
}

// Next implements cgi.Body.
func (b *countedBody) Next() ([]byte, error) {
	x := b.out.exchange
	block, err := b.wsgiBody.Next()
	if e, ok := err.(*Error); ok {
		b.told = true
		return nil, e
	}
	if n := len(block); n > 0 && (err == nil || err == io.EOF) {
		if e := b.out.checkWrite(n); e != nil {
			err = e
		} else {
			b.out.count(n)
		}
	}
	if err == io.EOF && x.failed() == nil {
		b.out.checkEnd()
	}
	if e := x.failed(); e != nil {
		b.told = true
		if err == nil || err == io.EOF {
			return nil, e
		}
		return nil, x.verdict(err)
	}
	return block, err
}

// Close implements cgi.Body: the exchange is over.
func (b *countedBody) Close() error {
	x := b.out.exchange
	first := b.closed.Load() == 0
	err := b.wsgiBody.Close()
	if !first {
		return err
	}
	x.detach()
	if b.told {
		return err
	}
	return x.verdict(err)
}
