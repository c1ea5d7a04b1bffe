// Package probe makes requests as a web server does, by FastCGI, SCGI or HTTP, one or many,
// and says what came of them. It is what "gatehouse request" stands on.
//
//	target := &probe.Target{Protocol: probe.FastCGI, Address: address}
//	result, err := target.Do(ctx, &probe.Request{Method: "GET", Env: env, Output: os.Stdout})
//
// Each request has a connection of its own, as nginx makes them without fastcgi_keep_conn,
// and nothing is retried. An error names the address, and says what to do where that is
// known; it means that no complete response has come.
package probe

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"
	"time"

	"gatehouse/cgi"
	"gatehouse/cgi/cgihead"
	"gatehouse/fastcgi/record"
	"gatehouse/internal/backend"
)

// A Protocol is what a Target speaks.
type Protocol string

// The protocols.
const (
	FastCGI Protocol = "FastCGI"
	SCGI    Protocol = "SCGI"
	HTTP    Protocol = "HTTP"
)

// A Target is where requests go. It may be used by several goroutines at once, unless it has
// a Trace.
type Target struct {
	Protocol Protocol
	Address  backend.Address
	Timeout  time.Duration // of a whole request, from connecting on; zero is no limit

	// Dial, if not nil, connects in place of Address, which only names the target in
	// messages. A FastCGI application is asked to keep that connection (KEEP_CONN).
	Dial func(context.Context) (net.Conn, error)

	// Trace, if not nil, gets what passes the connection: FastCGI's records, SCGI's
	// netstring, and the heads of HTTP and CGI, in readable form.
	Trace io.Writer
}

// A Request is what Do sends.
type Request struct {
	Method string
	Env    *cgi.Environ // the variables; REQUEST_URI and HTTP_HOST count for HTTP
	Fields []cgi.Field  // the further header fields of HTTP
	Body   *Body        // nil is none

	// Head, if not nil, is called when the head of the response has come.
	Head func(*Result) error

	Output io.Writer // gets the body of the response; nil is nowhere
	Stderr io.Writer // gets the messages of a FastCGI application; nil is nowhere
}

// A Body is the body of a request.
type Body struct {
	io.ReaderAt
	Size int64 // in bytes
}

// Reader returns a new reader of the body.
func (b *Body) Reader() io.Reader {
	if b == nil {
		return nil
	}
	return io.NewSectionReader(b, 0, b.Size)
}

// A Result is a response. After an error of Do it is what has come of it.
type Result struct {
	Status string // such as "200 OK"
	Code   int    // 0 if no head has come
	Fields []cgi.Field

	Bytes     int64  // of its body
	AppStatus uint32 // how a FastCGI application ended the request

	// From the beginning to each event, or 0.
	Connect, FirstByte, Total time.Duration
}

// Do makes a request, whose response goes to r.Output. The context bounds all of it.
func (t *Target) Do(ctx context.Context, r *Request) (Result, error) {
	if t.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, t.Timeout, fmt.Errorf("no complete response within %v (--timeout)", t.Timeout))
		defer cancel()
	}
	x := &exchange{target: t, request: r, start: time.Now()}
	err := x.run(ctx)
	x.result.Total = time.Since(x.start)
	if x.bodyErr != nil {
		err = fmt.Errorf("the body of the request cannot be read: %w", x.bodyErr)
	}
	if end, ok := ctx.Deadline(); ok && err != nil && !time.Now().Before(end) {
		<-ctx.Done() // a socket may be a moment ahead
	}
	if cause := context.Cause(ctx); err != nil && cause != nil {
		err = fmt.Errorf("%s: %w%s", t.Address, cause, x.progress())
	}
	return x.result, err
}

// An exchange is a request under way.
type exchange struct {
	target  *Target
	request *Request
	start   time.Time
	wire    *wire
	result  Result
	bodyErr error // of reading the body of the request; the connection is closed then
}

func (x *exchange) run(ctx context.Context) error {
	t := x.target
	nc, err := t.dial(ctx)
	switch {
	case err != nil && t.Dial != nil:
		return fmt.Errorf("%s: %w", t.Address, backend.Cause(err))
	case err != nil:
		return backend.DialError(t.Address.String(), err)
	}
	x.result.Connect = time.Since(x.start)
	x.wire = &wire{Conn: nc}
	if t.Trace != nil {
		x.wire.trace = newTrace(t.Trace, t.Protocol)
		defer x.wire.trace.end()
	}
	defer x.wire.Close()
	defer context.AfterFunc(ctx, func() { nc.Close() })()
	defer func() {
		if !x.wire.first.IsZero() {
			x.result.FirstByte = x.wire.first.Sub(x.start)
		}
	}()
	switch t.Protocol {
	case SCGI:
		return x.scgi()
	case HTTP:
		return x.http()
	}
	return x.fastcgi(ctx)
}

func (t *Target) dial(ctx context.Context) (net.Conn, error) {
	if t.Dial != nil {
		return t.Dial(ctx)
	}
	return backend.Dial(ctx, t.Address, 0)
}

// head notes the head of the response.
func (x *exchange) head(status string, code int, fields []cgi.Field) error {
	x.result.Status, x.result.Code, x.result.Fields = status, code, fields
	if x.request.Head != nil {
		return x.request.Head(&x.result)
	}
	return nil
}

// body passes the body of the response on. length is what the head says of it, or -1.
func (x *exchange) body(from io.Reader, length int64) error {
	to := x.request.Output
	if to == nil {
		to = io.Discard
	}
	n, err := io.Copy(outputWriter{to}, from)
	x.result.Bytes = n
	if err == nil && length >= 0 && n != length && x.hasBody() {
		return fmt.Errorf("its Content-Length is %d", length)
	}
	return err
}

// hasBody reports whether Content-Length is about a body that is sent.
func (x *exchange) hasBody() bool {
	return x.request.Method != "HEAD" && x.result.Code != 204 && x.result.Code != 304
}

// An outputError is that of the writer that the response goes to.
type outputError struct{ error }

func (e outputError) Unwrap() error { return e.error }

// An outputWriter tells errors of w from those of the connection.
type outputWriter struct{ w io.Writer }

func (o outputWriter) Write(p []byte) (int, error) {
	n, err := o.w.Write(p)
	if err != nil {
		err = outputError{fmt.Errorf("the response cannot be written: %w", err)}
	}
	return n, err
}

// progress says how far the response came.
func (x *exchange) progress() string {
	switch {
	case x.result.Code != 0:
		return fmt.Sprintf("; %d bytes of its body have come", x.result.Bytes)
	case x.wire != nil && x.wire.received > 0:
		return "; a part of its head has come"
	case x.wire != nil:
		return "; nothing has come"
	}
	return "; there is no connection yet"
}

// fail returns the error of a response that broke off, or is none.
func (x *exchange) fail(err error) error {
	if _, own := errors.AsType[outputError](err); own || err == nil {
		return err
	}
	name, w := x.target.Address.String(), x.wire
	foreign := errors.Is(err, record.ErrVersion) || errors.Is(err, errNotHTTP)
	head, noHead := errors.AsType[*cgihead.Error](err)
	switch {
	case x.result.Code != 0:
		return fmt.Errorf("%s: the response is truncated after %d bytes of its body: %w", name, x.result.Bytes, backend.Cause(err))
	case w.received == 0 && (noHead || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET)):
		return fmt.Errorf("%s: it closed the connection without a response: does it speak %s, and may this client connect?", name, x.target.Protocol)
	case foreign:
		return fmt.Errorf("%s: what listens there does not speak %s: it sent %q%s", name, x.target.Protocol, w.begun, speaks(w.begun))
	case noHead && errors.Is(head, cgihead.ErrMissing):
		return fmt.Errorf("%s: the response is truncated within its head: %w%s", name, err, speaks(w.begun))
	case noHead:
		return fmt.Errorf("%s: the response has no proper head: %w%s", name, err, speaks(w.begun))
	}
	return fmt.Errorf("%s: %w", name, backend.Cause(err))
}

// speaks returns what those first bytes say of the protocol, for an end of a message.
func speaks(b []byte) string {
	switch {
	case len(b) >= 5 && string(b[:5]) == "HTTP/":
		return "; this is HTTP: use --http"
	case len(b) >= 2 && b[0] == record.Version1 && b[1] <= byte(record.UnknownType):
		return "; this is FastCGI: use --fastcgi"
	}
	return ""
}

// A wire is the connection of a request. It notes the first bytes that come, and when.
type wire struct {
	net.Conn
	trace    *trace // or nil
	first    time.Time
	begun    []byte // the first bytes, at most 16
	received int64
}

func (w *wire) Read(p []byte) (int, error) {
	n, err := w.Conn.Read(p)
	if n > 0 {
		if w.received == 0 {
			w.first = time.Now()
		}
		w.begun = append(w.begun, p[:min(n, 16-len(w.begun))]...)
		w.received += int64(n)
		if w.trace != nil {
			w.trace.received(p[:n])
		}
	}
	return n, err
}

// Write shows what is written before the response to it can be.
func (w *wire) Write(p []byte) (int, error) {
	if w.trace != nil {
		w.trace.sent(p)
	}
	return w.Conn.Write(p)
}

// send writes the head of a request, and its body: at once if that is short, else by a
// goroutine, which has ended when wait returns, after the connection was closed. What the
// application does not take is its own affair: its response tells.
func (x *exchange) send(head []byte) (wait func()) {
	body := x.request.Body
	if body == nil {
		body = new(Body)
	}
	if body.Size <= backend.SmallBody {
		n := len(head)
		head = append(head, make([]byte, body.Size)...)
		if body.Size > 0 {
			if _, err := body.ReadAt(head[n:], 0); err != nil && err != io.EOF {
				x.bodyErr = err
				x.wire.Close()
			}
		}
		x.wire.Write(head)
		return func() {}
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, err := x.wire.Write(head)
		buf, from := make([]byte, 64<<10), body.Reader()
		for err == nil {
			var n int
			n, err = from.Read(buf)
			if err != nil && err != io.EOF {
				x.bodyErr = err
				x.wire.Close()
			} else if n > 0 {
				_, err = x.wire.Write(buf[:n])
			}
		}
	}()
	return func() {
		x.wire.Close()
		<-done
	}
}
