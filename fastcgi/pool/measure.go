package pool

import (
	"cmp"
	"slices"

	"gatehouse/cgi"
	"gatehouse/cgi/process"
)

// Measure implements cgi.Measured.
func (a *App) Measure() cgi.AppState {
	if a.Prepare() != nil {
		return cgi.AppState{Kind: "fastcgi_exec"}
	}
	s := a.upstream.Measure()
	s.Kind = "fastcgi_exec"
	a.processes.measure(&s)
	return s
}

// measure adds to s how the processes are.
func (p *processes) measure(s *cgi.AppState) {
	running := make(map[*process.Process]int)
	p.mu.Lock()
	if p.failure != nil {
		s.Failure = p.failure.Error()
	}
	for w := range p.all {
		x := cgi.ProcessState{State: w.state(), Requests: w.served}
		if x.State == "idle" {
			x.Since = w.since
		}
		if w.proc != nil {
			x.PID = w.proc.PID()
			running[w.proc] = len(s.Processes)
		}
		s.Processes = append(s.Processes, x)
	}
	p.mu.Unlock()
	for proc, i := range running { // which reads files
		s.Processes[i].Memory, s.Processes[i].CPU = proc.Memory(), proc.CPUTime()
	}
	slices.SortFunc(s.Processes, func(a, b cgi.ProcessState) int { return cmp.Compare(a.PID, b.PID) })
}

// state returns what the process is doing. mu is held.
func (w *worker) state() string {
	switch {
	case w.gone:
		return "ending"
	case !w.ready:
		return "starting"
	case w.busy:
		return "busy"
	}
	return "idle"
}

// maxUncounted bounds the processes that have ended before the first request.
const maxUncounted = 1000

// countEnd counts a process that has ended. mu is held.
func (p *processes) countEnd(w *worker) {
	if w.proc == nil {
		return
	}
	s, u := w.proc.Status(), w.proc.Usage()
	end := cgi.ProgramEnd{ExitStatus: s.Code, Signal: s.Signal, User: u.User, System: u.System, PeakMemory: u.PeakMemory}
	switch {
	case p.tally != nil:
		p.tally.CountProgram(end)
	case len(p.uncounted) < maxUncounted:
		p.uncounted = append(p.uncounted, end)
	}
}

// countFor notes what counts the processes, and counts those that have ended before it was
// known. mu is held.
func (p *processes) countFor(t *cgi.Tally) {
	if t == nil || t == p.tally {
		return
	}
	p.tally = t
	for _, end := range p.uncounted {
		t.CountProgram(end)
	}
	p.uncounted = nil
}
