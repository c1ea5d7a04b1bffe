package admin

import (
	"strings"
	"time"

	"gatehouse/cgi"
)

// A Status is what /status.json holds. Times are seconds, sizes bytes, and points of time
// RFC 3339. Fields are added in later versions, and none changes its meaning.
type Status struct {
	Time     time.Time `json:"time"`
	Started  time.Time `json:"started,omitzero"`
	Ready    bool      `json:"ready"`
	Version  string    `json:"version"`
	Process  Process   `json:"process"`
	Requests Requests  `json:"requests"` // of all applications together

	Applications []Application `json:"applications"`
	Listeners    []Listener    `json:"listeners"`
	Connections  Use           `json:"connections"` // of all listeners, beside what RLIMIT_NOFILE leaves them

	Spool       Use `json:"spool"`
	SpoolMemory Use `json:"spool_memory"`
	SpoolFiles  Use `json:"spool_files"`
	Params      Use `json:"params"`

	Reloads  Reloads           `json:"reloads"`
	Dropped  map[string]uint64 `json:"log_lines_dropped"` // by the log
	Admin    AdminStatus       `json:"admin"`
	InFlight []Request         `json:"in_flight"` // the oldest, 200 at most
	Failures []Ended           `json:"failures"`  // the last 50, the newest first
	Slow     []Ended           `json:"slow"`      // the 20 that took longest in the last ten minutes
	Rates    []Rate            `json:"rates"`     // the last ten minutes, the oldest first
}

// A Use is how much of something is in use, beside its limit: 0 for none.
type Use struct {
	Used    int64  `json:"used"`
	Limit   int64  `json:"limit"`
	Waited  uint64 `json:"waited"`
	Refused uint64 `json:"refused"`
}

// A Process is the gateway's own.
type Process struct {
	PID         int     `json:"pid"`
	User        float64 `json:"user"` // processor time
	System      float64 `json:"system"`
	Memory      Use     `json:"memory"`      // used 0: not known
	Descriptors Use     `json:"descriptors"` // likewise
	Goroutines  int     `json:"goroutines"`
}

// Requests are the figures of requests.
type Requests struct {
	Ended     uint64            `json:"ended"`
	Classes   map[string]uint64 `json:"classes"`   // of them, by class: "2xx", "truncated", "gone", …
	Protocols map[string]uint64 `json:"protocols"` // of them, by protocol
	Codes     map[int]uint64    `json:"codes"`     // complete responses, by status
	InFlight  int               `json:"in_flight"`
	Waiting   int               `json:"waiting"`
	Wait      Times             `json:"wait"`
	FirstByte Times             `json:"first_byte"`
	Duration  Times             `json:"duration"`
	BytesIn   uint64            `json:"bytes_in"`
	BytesOut  uint64            `json:"bytes_out"`
	Refused   map[string]uint64 `json:"refused"`   // by the limit or check
	TimedOut  map[string]uint64 `json:"timed_out"` // by the limit
	Panics    uint64            `json:"panics"`
	Aborted   uint64            `json:"aborted"`
	Programs  Programs          `json:"programs"`
}

// Times are how long something took: the quantiles are the bounds of the buckets that they are
// in, and -1 beyond the last bucket.
type Times struct {
	Count  uint64  `json:"count"`
	Sum    float64 `json:"sum"`
	Median float64 `json:"median"`
	P95    float64 `json:"p95"`
	P99    float64 `json:"p99"`
}

// Programs are those that have ended.
type Programs struct {
	Ended      uint64            `json:"ended"`
	Exits      map[int]uint64    `json:"exits"`
	Signals    map[string]uint64 `json:"signals"`
	User       float64           `json:"user"`
	System     float64           `json:"system"`
	PeakMemory int64             `json:"peak_memory"`
}

// An Application is what is mounted at a prefix. The one without a name has the requests that
// reached no application.
type Application struct {
	Name       string `json:"name"`
	Authorizer bool   `json:"authorizer,omitempty"`
	Requests
	Kind      string        `json:"kind,omitempty"` // of one that starts programs or passes requests on
	Running   *Use          `json:"running,omitempty"`
	Queue     *Use          `json:"queue,omitempty"`
	Addresses []Address     `json:"addresses,omitempty"`
	Processes []KeptProcess `json:"processes,omitempty"`
	Failure   string        `json:"failure,omitempty"`
}

// An Address is where an application listens.
type Address struct {
	Address  string    `json:"address"`
	Active   int       `json:"active"`
	Idle     int       `json:"idle"`
	Failures int       `json:"failures"`
	Avoided  time.Time `json:"avoided,omitzero"` // until then
}

// A KeptProcess is one of a kept application.
type KeptProcess struct {
	PID      int       `json:"pid"`
	State    string    `json:"state"`
	Since    time.Time `json:"since,omitzero"`
	Requests int       `json:"requests"`
	Memory   int64     `json:"memory"`
	CPU      float64   `json:"cpu"`
}

// A Listener is where the gateway listens.
type Listener struct {
	Protocol    string            `json:"protocol"`
	Address     string            `json:"address"`
	Connections Use               `json:"connections"`
	Accepted    uint64            `json:"accepted"`
	Refused     map[string]uint64 `json:"refused"`
	Declined    map[string]uint64 `json:"declined"`
	Backlog     *Use              `json:"backlog,omitempty"` // nil: the system does not tell
}

// Reloads are those of the configuration.
type Reloads struct {
	Succeeded uint64    `json:"succeeded"`
	Failed    uint64    `json:"failed"`
	Last      time.Time `json:"last,omitzero"`
	Failure   string    `json:"failure,omitempty"`
	Old       Use       `json:"old"`
}

// An AdminStatus is how the page itself is used.
type AdminStatus struct {
	Refused uint64 `json:"refused"` // requests and connections beyond its limits
}

// A Request is one in flight.
type Request struct {
	ID          string    `json:"id"`
	RequestID   string    `json:"request_id"` // as in the log
	Start       time.Time `json:"start"`
	Age         float64   `json:"age"`
	Protocol    string    `json:"protocol"`
	Client      string    `json:"client"`
	Method      string    `json:"method"`
	Target      string    `json:"target"` // 2 KiB at most
	Application string    `json:"application"`
	State       string    `json:"state"` // "waiting", "reading", "running" or "sending"
	BytesIn     int64     `json:"bytes_in"`
	BytesOut    int64     `json:"bytes_out"`
	Program     string    `json:"program,omitempty"`
	PID         int       `json:"pid,omitempty"`
	Queued      float64   `json:"queued"`
	CPU         float64   `json:"cpu,omitempty"` // processor time of the program so far; 0: not known
}

// An Ended is a request that has ended.
type Ended struct {
	ID          string    `json:"id"`
	RequestID   string    `json:"request_id"`
	Time        time.Time `json:"time"` // of its end
	Client      string    `json:"client"`
	Method      string    `json:"method"`
	Target      string    `json:"target"`
	Application string    `json:"application"`
	Code        int       `json:"code"` // 0: no head was sent
	End         string    `json:"end"`  // "complete", "truncated" or "aborted"
	Duration    float64   `json:"duration"`
	FirstByte   float64   `json:"first_byte"`
	Queued      float64   `json:"queued"`
	Program     string    `json:"program,omitempty"`
	Check       string    `json:"check,omitempty"`
	Error       string    `json:"error,omitempty"`
	Remedy      string    `json:"remedy,omitempty"`
}

// A Rate is what happened in a few seconds.
type Rate struct {
	Time     time.Time `json:"time"` // the end of them
	Seconds  float64   `json:"seconds"`
	Requests uint64    `json:"requests"` // that ended
	Failures uint64    `json:"failures"` // of these, 5xx and truncated ones
	InFlight int       `json:"in_flight"`
	Waiting  int       `json:"waiting"`
}

// statusOf returns the figures of s and the requests in flight.
func statusOf(s *Stats, inFlight []cgi.InFlight) *Status {
	out := &Status{
		Time: s.Time, Started: s.Started, Ready: s.Ready,
		Process: Process{PID: s.Process.PID, User: s.Process.User.Seconds(), System: s.Process.System.Seconds(),
			Memory: Use(s.Process.Memory), Descriptors: Use(s.Process.Descriptors), Goroutines: s.Process.Goroutines},
		Requests:    requestsOf(&s.Requests),
		Connections: Use(s.AllConnections),
		Spool:       Use(s.SpoolDisk), SpoolMemory: Use(s.SpoolMemory), SpoolFiles: Use(s.SpoolFiles), Params: Use(s.Params),
		Reloads: Reloads{Succeeded: s.Reloads.Succeeded, Failed: s.Reloads.Failed, Last: s.Reloads.Last, Failure: s.Reloads.Failure, Old: Use(s.Reloads.Old)},
		Dropped: counts(s.Dropped),
		// Empty lists are lists, for whoever reads the JSON.
		Applications: []Application{}, Listeners: []Listener{}, InFlight: []Request{}, Failures: []Ended{}, Slow: []Ended{}, Rates: []Rate{},
	}
	for i := range s.Applications {
		a := &s.Applications[i]
		x := Application{Name: a.Application, Authorizer: a.Authorizer, Requests: requestsOf(&a.RequestStats)}
		if a.State != nil {
			x.setState(a.State)
		}
		out.Applications = append(out.Applications, x)
	}
	for i := range s.Listeners {
		l := &s.Listeners[i]
		x := Listener{Protocol: string(l.Protocol), Address: l.Address, Connections: Use(l.Open), Accepted: l.Accepted, Refused: counts(l.Refused), Declined: counts(l.Declined)}
		if l.Backlog != nil {
			u := Use(*l.Backlog)
			x.Backlog = &u
		}
		out.Listeners = append(out.Listeners, x)
	}
	for _, r := range inFlight[:min(len(inFlight), maxInFlight)] {
		out.InFlight = append(out.InFlight, requestOf(&r))
	}
	return out
}

// counts returns m, or an empty map if it is nil.
func counts[K comparable](m map[K]uint64) map[K]uint64 {
	if m == nil {
		return map[K]uint64{}
	}
	return m
}

// maxInFlight is how many requests in flight are listed.
const maxInFlight = 200

func (x *Application) setState(a *cgi.AppState) {
	running, queue := Use(a.Programs), Use(a.Queue)
	x.Kind, x.Running, x.Queue, x.Failure = a.Kind, &running, &queue, a.Failure
	for _, y := range a.Addresses {
		x.Addresses = append(x.Addresses, Address{Address: y.Address, Active: y.Active, Idle: y.Idle, Failures: y.Failures, Avoided: y.Avoided})
	}
	for _, p := range a.Processes {
		x.Processes = append(x.Processes, KeptProcess{PID: p.PID, State: p.State, Since: p.Since, Requests: p.Requests, Memory: p.Memory, CPU: p.CPU.Seconds()})
	}
}

func requestsOf(r *cgi.RequestStats) Requests {
	out := Requests{
		Ended: r.Count(), Classes: make(map[string]uint64), Protocols: make(map[string]uint64), Codes: make(map[int]uint64),
		InFlight: r.InFlight, Waiting: r.Waiting,
		Wait: timesOf(&r.Wait), FirstByte: timesOf(&r.FirstByte), Duration: timesOf(&r.Duration),
		BytesIn: r.BytesIn, BytesOut: r.BytesOut, Refused: counts(r.Refusals), TimedOut: counts(r.TimeLimits), Panics: r.Panics, Aborted: r.Aborted,
		Programs: Programs{Ended: r.Programs.Count(), Exits: counts(r.Programs.Exits), Signals: counts(r.Programs.Signals),
			User: r.Programs.User.Seconds(), System: r.Programs.System.Seconds(), PeakMemory: r.Programs.PeakMemory},
	}
	for _, e := range r.Ended {
		out.Classes[e.Class] += e.Count
		out.Protocols[e.Protocol] += e.Count
		if e.Code != 0 {
			out.Codes[e.Code] += e.Count
		}
	}
	return out
}

// Failed returns how many of the requests got a status of 5xx, or a response that broke off.
func (r *Requests) Failed() uint64 { return r.Classes["5xx"] + r.Classes["truncated"] }

func timesOf(h *cgi.Histogram) Times {
	return Times{Count: h.Count(), Sum: h.Sum.Seconds(), Median: quantile(h, 0.5), P95: quantile(h, 0.95), P99: quantile(h, 0.99)}
}

// quantile returns the bound of the bucket that a quantile is in, in seconds: 0 if there is
// none, -1 beyond the last bound.
func quantile(h *cgi.Histogram, q float64) float64 {
	n := h.Count()
	if n == 0 {
		return 0
	}
	rank, seen := uint64(q*float64(n)), uint64(0)
	for i, c := range h.Counts {
		if seen += c; seen > rank || seen == n {
			if i < len(h.Bounds) {
				return h.Bounds[i].Seconds()
			}
			return -1
		}
	}
	return -1
}

func requestOf(r *cgi.InFlight) Request {
	cpu := time.Duration(0)
	if w, ok := r.Worker.(interface{ CPUTime() time.Duration }); ok {
		cpu = w.CPUTime()
	}
	return Request{CPU: cpu.Seconds(), ID: formatID(r.ID), RequestID: r.RequestID, Start: r.Start, Age: r.Age.Seconds(), Protocol: r.Protocol, Client: clip(r.Client), Method: clip(r.Method), Target: clip(r.Target),
		Application: r.Application, State: r.State.String(), BytesIn: r.BytesIn, BytesOut: r.BytesOut,
		Program: clip(r.Usage.Program), PID: r.Usage.PID, Queued: r.Usage.Queued.Seconds()}
}

// maxShown bounds a value of a client, in bytes.
const maxShown = 2 << 10

// clip returns a value that is to be shown: valid UTF-8, and not too long.
func clip(s string) string { return clipTo(s, maxShown) }

func clipTo(s string, most int) string {
	more := ""
	if len(s) > most {
		s, more = s[:most], "…"
	}
	return strings.ToValidUTF8(s, "\uFFFD") + more
}
