package daemon

import (
	"time"

	"gatehouse"
	"gatehouse/cgi"
	"gatehouse/daemon/admin"
)

// Stats are the figures of a Daemon as they were for a moment.
type Stats = admin.Stats

// Stats returns the figures of d. It may be called at any time after Open.
func (d *Daemon) Stats() Stats {
	log, access := d.LostLines()
	s := Stats{Ready: d.Ready(), Dropped: map[string]uint64{"log": log, "access_log": access}}
	d.mu.Lock()
	server := d.server
	s.Reloads = d.reloads
	s.Reloads.Old = cgi.Use{Used: int64(len(d.old)), Limit: maxOld, Refused: s.Reloads.Old.Refused}
	d.mu.Unlock()
	if server != nil {
		s.Stats = server.Stats()
	}
	return s
}

// InFlight returns the requests in flight, the oldest first.
func (d *Daemon) InFlight() []cgi.InFlight {
	if s := d.running(); s != nil {
		return s.InFlight()
	}
	return nil
}

// Abort ends a request in flight; see cgi.Handler.Abort.
func (d *Daemon) Abort(id uint64, cause error) (found bool) {
	s := d.running()
	return s != nil && s.Abort(id, cause)
}

// running returns the server, or nil.
func (d *Daemon) running() *gatehouse.Server {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.server
}

// refuseReload notes that too many old configurations are left for another.
func (d *Daemon) refuseReload() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.reloads.Old.Refused++
}

// countReload notes how a reload has ended.
func (d *Daemon) countReload(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	r := &d.reloads
	r.Last, r.Failure = time.Now(), ""
	if err == nil {
		r.Succeeded++
		return
	}
	r.Failed++
	r.Failure = err.Error()
}
