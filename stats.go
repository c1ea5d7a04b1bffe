package gatehouse

import (
	"maps"
	"math"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"gatehouse/cgi"
	"gatehouse/cgi/spool"
	"gatehouse/internal/frontend"
)

// Stats are the figures of a Server as they were for a moment. Counters begin with Serve, and
// go on when the Server is reconfigured. Times are durations, and sizes bytes.
type Stats struct {
	Time    time.Time // of these figures
	Started time.Time // when Serve began; zero if it has not

	// Requests are the figures of all requests together, those to applications included that
	// are not served any more.
	Requests cgi.RequestStats

	// Applications are the applications that are served, sorted by name. The first has no
	// name: it has the requests that reached none of the others, or all of them if App
	// mounts nothing.
	Applications []ApplicationStats

	// Listeners are those that are served, and Connections the figures of all listeners
	// since Serve began, by their protocol.
	Listeners   []ListenerStats
	Connections map[Protocol]cgi.ConnectionStats

	// AllConnections are the open connections of all listeners together, one more for each
	// that waits for a connection, beside what RLIMIT_NOFILE leaves to them.
	AllConnections cgi.Use

	// SpoolDisk and SpoolMemory are the bytes of bodies that are kept, in all and in memory,
	// SpoolFiles the files for it, and Params what variables hold beyond the usual
	// (Limits.ParamsTotal).
	SpoolDisk, SpoolMemory, SpoolFiles, Params cgi.Use

	Process ProcessStats
}

// ApplicationStats are the figures of an application.
type ApplicationStats struct {
	cgi.RequestStats

	// State is how an application is that starts programs or passes requests on; nil for any
	// other. Its counters are those of RequestStats.
	State *cgi.AppState
}

// ListenerStats are the figures of a listener.
type ListenerStats struct {
	Protocol Protocol
	Address  string // as the log has it
	cgi.ConnectionStats

	// Backlog is how many connections the system holds that nobody has accepted yet, and how
	// many it holds at most. It is nil where the system does not tell: on other systems than
	// Linux, and for a unix socket where the kernel has no unix_diag, or the process may use
	// no netlink, or the socket is of another network namespace.
	Backlog *cgi.Use
}

// ProcessStats are the figures of this process. What the system does not tell is 0.
type ProcessStats struct {
	PID          int
	User, System time.Duration // processor time, without that of programs

	// Memory is the resident set, beside the limit of the control group (memory.max).
	Memory cgi.Use

	// Descriptors are those that are open, beside RLIMIT_NOFILE.
	Descriptors cgi.Use

	Goroutines int
}

// Stats returns the figures of s. They are read when somebody asks; no request waits for it.
// It may be called at any time, and goes on to work after Serve has returned.
func (s *Server) Stats() Stats {
	out := Stats{Time: time.Now(), Process: processStats()}
	g := s.begunGroup()
	if g == nil {
		return out
	}
	g.mu.Lock()
	server, handler, limits := g.server, g.handler, g.limits
	out.Started = g.began
	out.Connections = maps.Clone(g.past)
	for _, f := range g.fronts {
		l := ListenerStats{Protocol: f.Protocol, Address: addressOf(f.Endpoint), ConnectionStats: f.Connections()}
		if queued, limit, ok := frontend.Backlog(f.listener); ok {
			l.Backlog = &cgi.Use{Used: int64(queued), Limit: int64(limit)}
		}
		out.Listeners = append(out.Listeners, l)
		out.count(f.Protocol, l.ConnectionStats)
	}
	for f, protocol := range g.retired {
		out.count(protocol, f.Connections())
	}
	g.mu.Unlock()
	out.AllConnections = limits.Shared.Use()
	out.SpoolDisk, out.SpoolMemory, out.Params = useOf(limits.Spool.Total), useOf(limits.Spool.MemoryTotal), useOf(limits.ParamsTotal)
	if t := limits.Spool.Total; t != nil {
		out.SpoolFiles.Used, out.SpoolFiles.Limit, out.SpoolFiles.Refused = t.Files()
	}
	out.addRequests(server, handler)
	return out
}

// count adds the connections of a front-end.
func (out *Stats) count(p Protocol, c cgi.ConnectionStats) {
	all := out.Connections[p]
	all.Merge(c)
	out.Connections[p] = all
}

// addRequests adds the figures of the applications.
func (out *Stats) addRequests(server *Server, handler *cgi.Handler) {
	type key struct {
		name       string
		authorizer bool
	}
	known := make(map[key]cgi.RequestStats)
	for _, r := range handler.Stats() {
		known[key{r.Application, r.Authorizer}] = r
		out.Requests.Merge(&r)
	}
	add := func(app cgi.App, authorizer bool) {
		if app == nil {
			return
		}
		mounts := cgi.Mounts(app)
		nowhere := cgi.Mounted{}
		if mounts == nil {
			nowhere.App = app
		}
		for _, m := range slices.Insert(mounts, 0, nowhere) {
			a := ApplicationStats{RequestStats: known[key{m.Application, authorizer}]}
			a.Application, a.Authorizer = m.Application, authorizer
			if state, ok := cgi.Measure(m.App); ok {
				state.Programs.Waited, state.Programs.Refused = a.Wait.Count(), a.Refusals["queue"]+a.Refusals["queue_wait"]
				state.Queue.Waited, state.Queue.Refused = state.Programs.Waited, a.Refusals["queue"]
				a.State = &state
			}
			out.Applications = append(out.Applications, a)
		}
	}
	add(server.App, false)
	add(server.Authorizer, true)
	slices.SortStableFunc(out.Applications, func(a, b ApplicationStats) int { return strings.Compare(a.Application, b.Application) })
}

// useOf returns how much of a budget is in use.
func useOf(b *spool.Budget) cgi.Use {
	if b == nil {
		return cgi.Use{}
	}
	u := cgi.Use{Used: b.Used(), Limit: b.Max(), Refused: b.Refused()}
	if u.Limit == math.MaxInt64 {
		u.Limit = 0 // there is none
	}
	return u
}

func processStats() ProcessStats {
	p := ProcessStats{PID: os.Getpid(), Goroutines: runtime.NumGoroutine(),
		Memory:      cgi.Use{Used: residentMemory(), Limit: memoryLimit()},
		Descriptors: cgi.Use{Used: int64(openDescriptors()), Limit: int64(descriptorLimit())}}
	p.User, p.System = processorTime()
	return p
}

// InFlight returns the requests in flight, the oldest first.
func (s *Server) InFlight() []cgi.InFlight {
	if h := s.currentHandler(); h != nil {
		return h.InFlight()
	}
	return nil
}

// Abort ends a request in flight; see [cgi.Handler.Abort].
func (s *Server) Abort(id uint64, cause error) (found bool) {
	h := s.currentHandler()
	return h != nil && h.Abort(id, cause)
}

// requests returns the figures of all requests together.
func (s *Server) requests() (all cgi.RequestStats) {
	if h := s.currentHandler(); h != nil {
		for _, r := range h.Stats() {
			all.Merge(&r)
		}
	}
	return all
}

// begunGroup returns what serves, or has served, or nil.
func (s *Server) begunGroup() *group {
	s.untilClose()
	select {
	case <-s.begun:
		return s.running
	default:
		return nil
	}
}

// currentHandler returns the Handler that runs what begins now, or nil.
func (s *Server) currentHandler() *cgi.Handler {
	g := s.begunGroup()
	if g == nil {
		return nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.handler
}
