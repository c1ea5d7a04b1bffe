package backend

import (
	"cmp"
	"context"
	"log/slog"
	"net"
	"time"

	"gatehouse/cgi"
	"gatehouse/cgi/admission"
)

// A Supplier has the connections of an application in place of addresses: it keeps the
// processes that they lead to.
type Supplier interface {
	// Name names the application in messages.
	Name() string

	// Admission says how many requests have a connection at once.
	Admission() admission.Limits

	// Connect returns a connection for one request, which it waits for until the time, if
	// that is not zero. The error is a *cgi.StatusError that names the application, or the
	// cause of ctx. A request, if there is one, tells how long it has waited.
	Connect(ctx context.Context, until time.Time, r *cgi.Request) (Supplied, error)
}

// A Supplied is a connection for one request. Keep or GiveUp is called last, once.
type Supplied interface {
	net.Conn
	Name() string       // of what it leads to
	PID() int           // its process
	Served() int        // requests before this one, on the same connection
	Client() any        // what Keep was told
	Failed(cause error) // the response is none, or a limit of time has passed
	Keep(client any)    // the request has been served
	GiveUp()            // it has not; the connection is not used any more
}

// NewSupplied returns a Pool for an application with a supplier, which outlives it. Of its
// Limits, those for connections do not hold.
func NewSupplied(s Supplier, l Limits, log *slog.Logger) *Pool {
	p := &Pool{Limits: l.withDefaults(), log: cmp.Or(log, slog.Default()), supplier: s}
	p.gate = admission.New(s.Admission(), p.log)
	return p
}

// supply gets the connection from the supplier.
func (t *Turn) supply(ctx context.Context) (err error) {
	if t.supplied, err = t.pool.supplier.Connect(ctx, t.until, t.request); err != nil {
		t.supplied = nil
		if ctx.Err() != nil {
			return cancelled(ctx, t.pool.Name())
		}
		return err
	}
	t.Conn, t.Client, t.requests = t.supplied, t.supplied.Client(), t.supplied.Served()
	t.tellUsage(t.supplied.PID())
	return nil
}
