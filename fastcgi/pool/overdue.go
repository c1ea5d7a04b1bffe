package pool

import (
	"errors"
	"net/http"
	"time"

	"gatehouse/cgi"
	"gatehouse/internal/backend"
)

// stackMoment is how long a process has to write what it does, at App.StackSignal, before it is
// terminated.
const stackMoment = 200 * time.Millisecond

// overdue reports whether err is that a limit of time has passed: of a request, or of the start.
func overdue(err error) bool {
	var expired *backend.ExpiredError
	var status *cgi.StatusError
	return errors.Is(err, errNotReady) || errors.As(err, &expired) || errors.As(err, &status) && status.Code == http.StatusGatewayTimeout
}

// terminateLater has w write what it does, and terminates it in a moment. mu is held.
func (p *processes) terminateLater(w *worker) {
	w.proc.Signal(p.stackSignal)
	grace := p.limits.Grace
	w.moment = time.AfterFunc(stackMoment, func() { w.proc.Terminate(grace) })
}
