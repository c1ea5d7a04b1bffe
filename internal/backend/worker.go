package backend

import (
	"time"

	"gatehouse/cgi"
	"gatehouse/cgi/relay"
)

// A worker is the address that a request has been passed on to.
type worker struct {
	name     string
	activity *relay.Activity
}

// Show notes for who watches r (cgi.Watch) what it is passed on to, after Connect: the address
// or, of a supplier whose connections have a method Worker, what that returns. The activity is
// that of the request.
func (t *Turn) Show(r *cgi.Request, a *relay.Activity) {
	if !r.Watched() {
		return
	}
	if s, ok := t.supplied.(interface {
		Worker(*relay.Activity) cgi.Worker
	}); ok {
		r.SetWorker(s.Worker(a))
		return
	}
	r.SetWorker(&worker{t.Name(), a})
}

// Name implements cgi.Worker.
func (w *worker) Name() string { return w.name }

// Silence implements cgi.Worker.
func (w *worker) Silence() (d time.Duration, responded bool) { return w.activity.Silence() }
