package cgi

import (
	"errors"
	"fmt"
	"io"
	"iter"
	"sync/atomic"
)

// WSGI is an application as PEP 3333 has it, with wsgiref's behaviour: it gets the
// variables and a function that starts the response, and returns the body. It is
// an [App].
//
// The body, its errors and the run flags of the request (wsgi.input, wsgi.errors …)
// are those of [Environ.Request].
//
// Each block of the body is sent as it comes; empty ones are ignored. If the Body says that it has exactly one, and nothing was sent through the
// function that start returned, the block's length is the Content-Length (behind a
// ResponseWriter of a middleware's own only if it is buffered as a whole), and a block of
// up to 16 KiB is sent once the Body has been closed. The Body is closed exactly once,
// however the request ends, and before the web server gets the end of the response. An error
// that the application, the Body or its Close returns becomes an error page, or a truncation
// once the head has been sent.
type WSGI func(env *Environ, start StartResponse) (Body, error)

// StartResponse is PEP 3333's start_response. It checks and copies the status and the
// fields, and sends nothing.
//
// A second call is an error, also if the first one failed, unless there is a cause
// (exc_info): then status and fields replace the earlier ones, or, if the head has
// been sent, the cause is returned, wrapped with [ErrHeadersSent].
//
// The function it returns (PEP 3333's write callable) sends a block at once. It is
// valid until the application returns; wsgiref lets a body use it while it is read,
// against PEP 3333, and so does this. Once the Body has been closed, both fail.
type StartResponse func(status string, headers []Field, cause error) (WriteFunc, error)

// A WriteFunc sends a block of the body. Empty ones do nothing.
type WriteFunc func(block []byte) error

// A Body is what a WSGI application returns: PEP 3333's iterable. It is used by one
// goroutine.
type Body interface {
	// Next returns the next block, valid until the next call, and io.EOF after the last
	// or with it. A block that comes with another error is not sent.
	Next() ([]byte, error)

	// Len returns the number of blocks, empty ones among them, if that is known before
	// they are read, else -1.
	Len() int

	// Close is called exactly once.
	Close() error
}

// Request returns the request that the variables belong to while a [WSGI]
// application runs, otherwise nil.
func (e *Environ) Request() *Request { return e.request }

// ServeCGI implements App.
func (f WSGI) ServeCGI(w ResponseWriter, r *Request) (err error) {
	c := &wsgiCall{w: w}
	before := r.Env.request
	r.Env.request = r
	r.setIDVariable()
	var body Body
	defer func() {
		defer func() {
			r.Env.request = before
			c.finished.Store(true)
		}()
		if body == nil {
			return
		}
		if cerr := body.Close(); cerr != nil {
			err = errors.Join(err, fmt.Errorf("closing the body: %w", cerr))
		}
	}()
	body, err = f(r.Env, c.startResponse)
	if err != nil {
		return err
	}
	if body == nil {
		return ErrNoBody
	}
	return c.writeBody(body)
}

// A wsgiCall is one call of a WSGI application.
type wsgiCall struct {
	w        ResponseWriter
	finished atomic.Bool // w may serve another request now
}

func (c *wsgiCall) startResponse(status string, headers []Field, cause error) (WriteFunc, error) {
	if c.finished.Load() {
		return c.write, errReturned
	}
	if cause != nil {
		return c.write, ReplaceResponse(c.w, cause, status, headers)
	}
	return c.write, c.w.StartResponse(status, headers)
}

// write is the write callable.
func (c *wsgiCall) write(block []byte) error {
	if c.finished.Load() {
		return errReturned
	}
	if len(block) == 0 {
		return nil
	}
	return c.writeBlock(block)
}

// writeBlock sends a writeBlock at once.
func (c *wsgiCall) writeBlock(block []byte) error {
	if _, err := c.w.Write(block); err != nil {
		return err
	}
	return c.w.Flush()
}

// writeBody sends the body: finish_response.
func (c *wsgiCall) writeBody(body Body) error {
	if f, ok := body.(*File); ok {
		if sent, err := c.sendFile(f); sent || err != nil {
			return err
		}
	}
	send := c.writeBlock
	if body.Len() == 1 {
		send = c.writeSingle
	}
	for {
		block, err := body.Next()
		if err != nil && err != io.EOF {
			return err
		}
		if len(block) > 0 {
			if err := send(block); err != nil {
				return err
			}
		}
		if err == io.EOF {
			return nil
		}
	}
}

// writeSingle writes the one block that a body has.
func (c *wsgiCall) writeSingle(block []byte) error {
	// A writer in front of the Handler's may change the body: there the Handler's own
	// rule counts, which knows the length of what it holds as a whole.
	if r, ok := c.w.(interface{ setLength(int64) }); ok {
		r.setLength(int64(len(block)))
	}
	_, err := c.w.Write(block)
	return err
}

// sendFile lets Handler.SendFile send a file.
func (c *wsgiCall) sendFile(f *File) (bool, error) {
	s, ok := ability[interface {
		sendFile(ResponseWriter, *File) (bool, error)
	}](c.w)
	if !ok {
		return false, nil
	}
	return s.sendFile(c.w, f)
}

// sendFile calls Handler.SendFile, if there is one.
func (w *response) sendFile(outer ResponseWriter, f *File) (bool, error) {
	if w.handler.SendFile == nil || !w.valid {
		return false, nil
	}
	written := w.written
	sent, err := w.handler.SendFile(outer, f)
	if !sent && err == nil && w.written != written {
		err = errSendFile
	}
	return sent, err
}

// Blocks returns a Body of the given blocks.
func Blocks(blocks ...[]byte) Body { return &blockBody{blocks: blocks, n: len(blocks)} }

type blockBody struct {
	blocks [][]byte
	n      int
}

func (b *blockBody) Next() ([]byte, error) {
	if len(b.blocks) == 0 {
		return nil, io.EOF
	}
	block := b.blocks[0]
	b.blocks = b.blocks[1:]
	return block, nil
}

func (b *blockBody) Len() int   { return b.n }
func (*blockBody) Close() error { return nil }

// Seq returns a Body of the blocks that a function yields, as a Python generator does.
// Its Close ends the function.
func Seq(seq iter.Seq2[[]byte, error]) Body {
	next, stop := iter.Pull2(seq)
	return &seqBody{next, stop}
}

type seqBody struct {
	next func() ([]byte, error, bool)
	stop func()
}

func (b *seqBody) Next() ([]byte, error) {
	block, err, ok := b.next()
	if !ok {
		return nil, io.EOF
	}
	return block, err
}

func (*seqBody) Len() int { return -1 }

func (b *seqBody) Close() error {
	b.stop()
	return nil
}
