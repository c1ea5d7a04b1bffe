package cgi

import (
	"context"
	"io"
)

// An App is an application behind a gateway: the Go form of a WSGI application
// (PEP 3333).
//
// ServeCGI is called once for each request, on a goroutine of its own. After it has
// returned it must not use w or r, or anything reached through them: both are reused.
// Strings taken from r.Env stay valid.
//
// An error that it returns, or a panic, before the head was sent becomes an error page, with
// the code of a [StatusError], 503 for what [Exhausted] knows, otherwise 500. After the head it truncates the response,
// visibly to the web server where the protocol allows it.
type App interface {
	ServeCGI(w ResponseWriter, r *Request) error
}

// AppFunc makes a function an App.
type AppFunc func(w ResponseWriter, r *Request) error

// ServeCGI calls f.
func (f AppFunc) ServeCGI(w ResponseWriter, r *Request) error { return f(w, r) }

// A Role says what the web server asks of the application (FastCGI 1.0 § 6). All protocols
// but FastCGI know the Responder alone.
type Role uint16

// The roles of FastCGI 1.0. The zero Role counts as Responder.
const (
	Responder  Role = 1
	Authorizer Role = 2
	Filter     Role = 3
)

func (r Role) String() string {
	switch r {
	case 0, Responder:
		return "responder"
	case Authorizer:
		return "authorizer"
	case Filter:
		return "filter"
	}
	return "unknown role"
}

// A Request is one request, as a front-end decoded it.
type Request struct {
	// Env holds the CGI variables (RFC 3875 § 4.1): exact bytes in the order of arrival,
	// each name once.
	Env *Environ

	// ContentLength is the number of bytes in Body, or -1 if only the end of the body
	// tells.
	ContentLength int64

	// Body is the message-body (wsgi.input). It is never nil while an App runs,
	// ends with io.EOF at its length, and fails with io.ErrUnexpectedEOF if the
	// web server sent less. It need not be read. If it is an io.Closer, Close makes
	// a Read that is under way return, and may be called at any time; only the standard
	// input of a CGI program cannot be interrupted.
	Body io.Reader

	// Data is the second stream of a FastCGI Filter, otherwise nil.
	Data io.Reader

	// Stderr takes the application's error messages (wsgi.errors).
	Stderr io.Writer

	// Role is what the web server asks of the application.
	Role Role

	// Multithread, Multiprocess and RunOnce are PEP 3333's run flags.
	Multithread, Multiprocess, RunOnce bool

	// Paths names the quirks of the web server in front where it reports the path
	// of a request.
	Paths PathPolicy

	// Script names what serves the request in the log: the path of a CGI program. An
	// application may set it.
	Script string

	// ID is the number of the request in this process. The Handler sets it if the front-end
	// did not. It is a part of the RequestID, by which logs and users know the request.
	ID uint64

	numbers *requestNumbers // that ID is from; nil for a front-end's own
	sentID  string          // the RequestID that came with the request
	shownID bool            // Env has it
	trace   TraceParent     // of Env when the request began; empty for none

	// Protocol is that by which the request came, for the figures of [Handler.Stats]:
	// "fastcgi", "scgi", "http" or "cgi".
	Protocol string

	// response is that of the Handler, while it runs the request; otherwise nil.
	response *response

	// finished, if not nil, gets the result as soon as a time limit has passed, and the
	// request been finished.
	finished chan<- finishedRun

	// direct says that the front-end speaks HTTP, so that nobody in front of it follows a
	// local redirect; redirector, that a Redirector wraps the application.
	direct, redirector bool

	// program says that this process is the CGI program that the request started.
	program bool

	// sent holds the path as the web server sent it, once a Mux has split it.
	sent  sentPath
	mount mountPoint

	progress *Progress // nil unless somebody watches

	ctx    context.Context
	source ContextSource
}

// A ContextSource makes the context of a request when the application first asks for it,
// so that a context nobody wants costs nothing.
type ContextSource interface {
	RequestContext() context.Context
}

// Tally returns what counts for the application that serves the request, for processes that
// may outlive it. It is nil unless a Handler runs the request.
func (r *Request) Tally() *Tally {
	if r.response == nil {
		return nil
	}
	return r.response.tally()
}

// Context returns the request's context. It is cancelled when the web server aborts the
// request or vanishes, when a time limit has passed, by [Handler.Abort], at a forced shutdown,
// and when the request has ended; [context.Cause] tells which. The first call must come from the
// goroutine that runs ServeCGI.
func (r *Request) Context() context.Context {
	if r.ctx == nil {
		if r.source == nil {
			r.ctx = context.Background()
		} else {
			r.ctx = r.source.RequestContext()
		}
		if r.response != nil {
			r.ctx = r.response.abortable(r.ctx)
		}
	}
	return r.ctx
}

// SetContext sets the context that Context returns.
func (r *Request) SetContext(ctx context.Context) { r.ctx = ctx }

// SetContextSource sets where the first call of Context gets the context from.
func (r *Request) SetContextSource(s ContextSource) { r.ctx, r.source = nil, s }

// HasContext reports whether the request's context has been made.
func (r *Request) HasContext() bool { return r.ctx != nil }

// CloseBody closes the body: a Read that is under way returns, if the front-end can
// interrupt it, and later ones fail. A Body that is not an io.Closer is closed by its method
// CloseBody, if it has one: package validate hides Close.
func (r *Request) CloseBody() {
	switch b := r.Body.(type) {
	case io.Closer:
		b.Close()
	case interface{ CloseBody() }:
		b.CloseBody()
	}
}

// A ResponseWriter takes an application's response. It belongs to the goroutine that runs
// ServeCGI; a second goroutine may write only while the first does not.
//
// Optional abilities are functions of this package, which find them by assertion through
// Unwrap methods, as [http.ResponseController] does: [ReplaceResponse], [HeadersSent],
// [EnableFullDuplex], [SetExitStatus], [SetReadDeadline], [SetWriteDeadline], [WriteStderr]
// and [WriteInformational].
type ResponseWriter interface {
	// StartResponse sets the status ("200 OK") and the header fields of the response.
	// It checks and copies them, and sends nothing. It may be called once.
	StartResponse(status string, headers []Field) error

	// Write sends part of the body. Up to 16 KiB may be held back until Flush is called
	// or ServeCGI returns; a Write beyond that waits as Flush does.
	//
	// Bytes beyond a declared Content-Length are cut, and Write returns
	// ErrContentLength. Bytes written to a response that has no body (HEAD, 204, 304)
	// are counted and discarded.
	io.Writer

	// Flush sends the head and everything written. Before the head it waits for the
	// request's body, which is buffered; see [EnableFullDuplex].
	Flush() error
}
