package cgi

import (
	"cmp"
	"maps"
	"slices"
	"time"
)

// RequestStats are the figures of the requests to one application, since the process began:
// no counter falls or begins anew when the configuration is replaced.
type RequestStats struct {
	// Application is the prefix at which a [Mux] has mounted the application, without a
	// trailing slash; "/" for the root. It is empty for requests that no Mux has given to an
	// application: those that were refused before, and all of them where there is no Mux.
	Application string

	// Authorizer says that these are the requests in the role of an Authorizer.
	Authorizer bool

	// Ended are the requests that have ended, by how: those that have a count, sorted.
	Ended []EndCount

	InFlight int // requests that have begun and not ended …
	Waiting  int // … of which wait for their turn

	// Wait is how long requests have waited for their turn, of those that had to. FirstByte
	// is the time from the beginning of a request until the head of its response was sent,
	// of those that had one, and Duration that until its end.
	Wait, FirstByte, Duration Histogram

	BytesIn  uint64 // of bodies of requests that were read
	BytesOut uint64 // of bodies of responses that were sent

	// Refusals are requests that were refused, by what refused them, and TimeLimits those that
	// a limit of time has ended: by the key of a limit, such as "queue" or "first_byte", or by a
	// check, such as "missing"; see [StatusError].Check.
	Refusals, TimeLimits map[string]uint64

	Panics  uint64 // of applications in this process
	Aborted uint64 // requests that Handler.Abort has ended

	// Programs are the processes that the application has started, and that have ended.
	Programs ProgramStats
}

// An EndCount is how many requests have ended in one way.
type EndCount struct {
	Protocol string // "fastcgi", "scgi", "http", "cgi", or "other"

	// Class is "1xx" to "5xx" for a complete response, "truncated" for one that broke off,
	// or was none, and "gone" if the client left before its end: that is neither a success
	// nor an error of the server's.
	Class string

	Code  int // of a complete response: 100 to 599, or 0 for one beyond that
	Count uint64
}

// ProgramStats are the figures of processes that have ended.
type ProgramStats struct {
	Exits   map[int]uint64    // by exit status
	Signals map[string]uint64 // by the name of the signal

	User, System time.Duration // processor time of all together
	PeakMemory   int64         // the largest resident set of any of them, in bytes
}

// Count returns how many processes have ended.
func (p ProgramStats) Count() (n uint64) {
	for _, c := range p.Exits {
		n += c
	}
	for _, c := range p.Signals {
		n += c
	}
	return n
}

// Count returns how many requests have ended.
func (s RequestStats) Count() (n uint64) {
	for _, e := range s.Ended {
		n += e.Count
	}
	return n
}

// Merge adds the figures of another application.
func (s *RequestStats) Merge(other *RequestStats) {
	for _, e := range other.Ended {
		i, found := slices.BinarySearchFunc(s.Ended, e, EndCount.compare)
		if found {
			s.Ended[i].Count += e.Count
		} else {
			s.Ended = slices.Insert(s.Ended, i, e)
		}
	}
	s.InFlight += other.InFlight
	s.Waiting += other.Waiting
	s.Wait.merge(&other.Wait)
	s.FirstByte.merge(&other.FirstByte)
	s.Duration.merge(&other.Duration)
	s.BytesIn += other.BytesIn
	s.BytesOut += other.BytesOut
	s.Panics += other.Panics
	s.Aborted += other.Aborted
	s.Refusals = merge(s.Refusals, other.Refusals)
	s.TimeLimits = merge(s.TimeLimits, other.TimeLimits)
	s.Programs.merge(&other.Programs)
}

func (p *ProgramStats) merge(other *ProgramStats) {
	p.Exits = merge(p.Exits, other.Exits)
	p.Signals = merge(p.Signals, other.Signals)
	p.User += other.User
	p.System += other.System
	p.PeakMemory = max(p.PeakMemory, other.PeakMemory)
}

func merge[K comparable](into, from map[K]uint64) map[K]uint64 {
	if into == nil {
		return maps.Clone(from)
	}
	for k, n := range from {
		into[k] += n
	}
	return into
}

func (e EndCount) compare(other EndCount) int {
	return cmp.Or(cmp.Compare(e.Protocol, other.Protocol), cmp.Compare(e.Class, other.Class), cmp.Compare(e.Code, other.Code))
}

// A Use is how much of something that is bounded is in use.
type Use struct {
	Used    int64
	Limit   int64  // 0: there is none; -1: nothing may be in use
	Waited  uint64 // how often somebody had to wait for it
	Refused uint64 // how often somebody was refused for the lack of it
}

// An AppState is how an application is that starts programs or passes requests on.
type AppState struct {
	// Kind is "scripts", "fastcgi", "scgi", "fastcgi_exec" or "wsgi", the key of a configuration.
	Kind string

	// Programs is how many programs run, for scripts, or how many connections are in use
	// otherwise; Queue how many requests wait for that. Requests of a configuration that has
	// been replaced are not among them. The counters are those of this App alone, and begin
	// with it: those of [RequestStats] do not.
	Programs, Queue Use

	// Addresses are where the application listens, if it does by itself.
	Addresses []AddressState

	// Processes are those that are kept.
	Processes []ProcessState

	// Failure is why the last process could not be started, if none could since.
	Failure string
}

// An AddressState is how an address of an application is.
type AddressState struct {
	Address  string
	Active   int       // connections in use
	Idle     int       // connections that are kept
	Failures int       // in a row
	Avoided  time.Time // until then, another address is preferred; zero: not
}

// A ProcessState is how a kept process is.
type ProcessState struct {
	PID      int
	State    string    // "starting", "idle", "busy", or "ending"
	Since    time.Time // idle since, for an idle one
	Requests int       // that it has served
	Memory   int64     // resident, in bytes; 0 where that is not known
	CPU      time.Duration
}

// A Measured is an App that tells how it is.
type Measured interface {
	Measure() AppState
}

// Measure returns how an App is, or the App that it wraps (see [Mounts]), and false if it
// does not tell.
func Measure(a App) (AppState, bool) {
	for a != nil {
		if m, ok := a.(Measured); ok {
			return m.Measure(), true
		}
		u, ok := a.(interface{ Unwrap() App })
		if !ok {
			break
		}
		a = u.Unwrap()
	}
	return AppState{}, false
}

// A Mounted is an application of a Mux, with the name that it has in [RequestStats].
type Mounted struct {
	Application string
	App         App
}

// Mounts returns the applications that a Mux has mounted, sorted. A wrapper around it has a
// method Unwrap() App. Any other App mounts nothing.
func Mounts(a App) []Mounted {
	for a != nil {
		if m, ok := a.(interface{ Mounts() []Mounted }); ok {
			return m.Mounts()
		}
		u, ok := a.(interface{ Unwrap() App })
		if !ok {
			break
		}
		a = u.Unwrap()
	}
	return nil
}
