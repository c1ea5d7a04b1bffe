package admin

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"

	"gatehouse/cgi"
)

// familiesOf turns figures into metrics. Their names are Prometheus's own where it has one
// (process_…), and otherwise begin with "gatehouse_". No label holds anything that a client
// sends.
func familiesOf(s *Stats, version string, refused uint64) []*dto.MetricFamily {
	e := emitter{families: make(map[string]*dto.MetricFamily)}
	e.gauge("gatehouse_build_info", "Always 1; the version is a label.", 1, "version", version, "goversion", runtime.Version())
	e.counter("gatehouse_admin_refused_total", "Requests and connections to the admin addresses beyond their limits.", float64(refused))
	e.process(s)
	e.reloads(s)
	e.spool(s)
	e.listeners(s)
	for i := range s.Applications {
		a := &s.Applications[i]
		labels := []string{"application", a.Application}
		if a.Authorizer {
			labels[1] = "authorizer " + a.Application
		}
		e.requests(&a.RequestStats, labels)
		e.programs(&a.Programs, labels)
		if a.State != nil {
			e.state(a.State, labels)
		}
	}
	var list []*dto.MetricFamily
	for _, name := range slices.Sorted(maps.Keys(e.families)) {
		list = append(list, e.families[name])
	}
	return list
}

// An emitter collects metrics by their names. Labels are pairs of a name and a value.
type emitter struct{ families map[string]*dto.MetricFamily }

// add adds a metric of a family.
func (e emitter) add(name, help string, kind dto.MetricType, labels []string) *dto.Metric {
	m := new(dto.Metric)
	for i := 0; i < len(labels); i += 2 {
		value := strings.ToValidUTF8(labels[i+1], "\uFFFD")
		m.Label = append(m.Label, &dto.LabelPair{Name: &labels[i], Value: &value})
	}
	f := e.families[name]
	if f == nil {
		f = &dto.MetricFamily{Name: &name, Help: &help, Type: &kind}
		e.families[name] = f
	}
	f.Metric = append(f.Metric, m)
	return m
}

func (e emitter) counter(name, help string, value float64, labels ...string) {
	e.add(name, help, dto.MetricType_COUNTER, labels).Counter = &dto.Counter{Value: &value}
}

func (e emitter) gauge(name, help string, value float64, labels ...string) {
	e.add(name, help, dto.MetricType_GAUGE, labels).Gauge = &dto.Gauge{Value: &value}
}

func (e emitter) histogram(name, help string, h *cgi.Histogram, labels ...string) {
	var n uint64
	var buckets []*dto.Bucket
	bucket := func(bound float64, count uint64) {
		n += count
		sum := n
		buckets = append(buckets, &dto.Bucket{UpperBound: &bound, CumulativeCount: &sum})
	}
	for i, bound := range h.Bounds {
		bucket(bound.Seconds(), h.Counts[i])
	}
	count, sum := h.Count(), h.Sum.Seconds()
	e.add(name, help, dto.MetricType_HISTOGRAM, labels).Histogram = &dto.Histogram{SampleCount: &count, SampleSum: &sum, Bucket: buckets}
}

// use sends how much of something is in use, beside its limit, and how often there was not
// enough. The unit, if any, ends the names.
func (e emitter) use(name, unit, what string, u cgi.Use, labels ...string) {
	e.gauge(name+unit, what+".", float64(u.Used), labels...)
	if u.Limit > 0 {
		e.gauge(name+"_limit"+unit, "The most for: "+what+".", float64(u.Limit), labels...)
	}
	e.counter(name+"_waited_total", "How often somebody had to wait for a place among: "+what+".", float64(u.Waited), labels...)
	e.counter(name+"_refused_total", "How often somebody was refused for the lack of room among: "+what+".", float64(u.Refused), labels...)
}

// process sends the figures of this process.
func (e emitter) process(s *Stats) {
	p := &s.Process
	e.counter("process_cpu_seconds_total", "Processor time of the gateway, without programs.", (p.User + p.System).Seconds())
	if p.Memory.Used > 0 {
		e.gauge("process_resident_memory_bytes", "Resident memory of the gateway, without programs.", float64(p.Memory.Used))
	}
	if p.Memory.Limit > 0 {
		e.gauge("gatehouse_memory_limit_bytes", "Limit of the control group that the gateway is in (memory.max).", float64(p.Memory.Limit))
	}
	if p.Descriptors.Used > 0 {
		e.gauge("process_open_fds", "Open descriptors of the gateway.", float64(p.Descriptors.Used))
	}
	if p.Descriptors.Limit > 0 {
		e.gauge("process_max_fds", "The most that may be open (RLIMIT_NOFILE).", float64(p.Descriptors.Limit))
	}
	if !s.Started.IsZero() {
		e.gauge("process_start_time_seconds", "When the gateway began to serve.", seconds(s.Started))
	}
	e.gauge("go_goroutines", "Goroutines of the gateway.", float64(p.Goroutines))
	e.gauge("gatehouse_ready", "1 while the gateway is to get requests, 0 while it drains.", oneIf(s.Ready))
	for log, lines := range s.Dropped {
		e.counter("gatehouse_log_lines_dropped_total", "Lines that a log has lost, as it could not be written.", float64(lines), "log", log)
	}
}

// reloads sends the figures of reloads.
func (e emitter) reloads(s *Stats) {
	const help = "Reloads of the configuration."
	r := &s.Reloads
	e.counter("gatehouse_reloads_total", help, float64(r.Succeeded), "result", "success")
	e.counter("gatehouse_reloads_total", help, float64(r.Failed), "result", "failure")
	e.gauge("gatehouse_last_reload_successful", "0 if the last reload failed: the configuration before it is served.", oneIf(r.Failure == ""))
	if !r.Last.IsZero() {
		e.gauge("gatehouse_last_reload_timestamp_seconds", "When the last reload ended.", seconds(r.Last))
	}
	e.use("gatehouse_old_configurations", "", "replaced configurations that still have requests in flight", r.Old)
}

// spool sends what bodies and variables take.
func (e emitter) spool(s *Stats) {
	e.use("gatehouse_spool", "_bytes", "bytes of bodies that are kept (spool_total)", s.SpoolDisk)
	e.use("gatehouse_spool_memory", "_bytes", "of these, bytes in memory (spool_memory_total)", s.SpoolMemory)
	e.use("gatehouse_spool_files", "", "files of bodies that are kept", s.SpoolFiles)
	e.use("gatehouse_params", "_bytes", "bytes of variables beyond the usual (params_total)", s.Params)
}

// listeners sends the figures of connections.
func (e emitter) listeners(s *Stats) {
	seen := make(map[string]int)
	for i := range s.Listeners {
		l := &s.Listeners[i]
		name := l.Address // which several sockets of a systemd unit share
		if seen[name]++; seen[name] > 1 {
			name = fmt.Sprintf("%s (%d)", name, seen[name])
		}
		labels := []string{"protocol", string(l.Protocol), "listener", name}
		e.use("gatehouse_listener_connections", "", "open connections of a listener (max_connections)", l.Open, labels...)
		if l.Backlog != nil {
			e.gauge("gatehouse_listener_backlog", "Connections in the system that nobody has accepted yet.", float64(l.Backlog.Used), labels...)
			e.gauge("gatehouse_listener_backlog_limit", "The most connections that the system holds.", float64(l.Backlog.Limit), labels...)
		}
	}
	e.use("gatehouse_connections", "", "open connections of all listeners, beside what RLIMIT_NOFILE leaves them", s.AllConnections)
	for protocol, c := range s.Connections {
		p := string(protocol)
		e.counter("gatehouse_connections_accepted_total", "Connections that were accepted.", float64(c.Accepted), "protocol", p)
		e.counter("gatehouse_connections_evicted_total", "Idle connections that were closed to make room for others.", float64(c.Evicted), "protocol", p)
		e.counter("gatehouse_accept_failures_total", "How often accepting failed, as for the lack of a descriptor.", float64(c.Failed), "protocol", p)
		for check, n := range c.Refused {
			e.counter("gatehouse_connections_closed_at_once_total", "Connections that were closed at once, by the check that refused them.", float64(n), "protocol", p, "check", check)
		}
		for check, n := range c.Declined {
			e.counter("gatehouse_requests_declined_total", "Requests that a connection did not take, by the check that refused them.", float64(n), "protocol", p, "check", check)
		}
	}
}

// requests sends the figures of the requests to an application.
func (e emitter) requests(r *cgi.RequestStats, labels []string) {
	with := func(more ...string) []string { return append(labels[:len(labels):len(labels)], more...) }
	type key struct{ protocol, class string }
	ended := make(map[key]uint64)
	for _, c := range r.Ended {
		ended[key{c.Protocol, c.Class}] += c.Count
	}
	for k, n := range ended {
		e.counter("gatehouse_requests_total", `Requests that have ended, by the class of their status, "truncated", or "gone" if the client left.`, float64(n), with("protocol", k.protocol, "class", k.class)...)
	}
	e.gauge("gatehouse_requests_in_flight", "Requests that have begun and not ended.", float64(r.InFlight), labels...)
	e.gauge("gatehouse_requests_waiting", "Of these, requests that wait for their turn.", float64(r.Waiting), labels...)
	e.histogram("gatehouse_request_wait_seconds", "How long requests waited for their turn, of those that had to.", &r.Wait, labels...)
	e.histogram("gatehouse_request_first_byte_seconds", "Time to the head of the response.", &r.FirstByte, labels...)
	e.histogram("gatehouse_request_duration_seconds", "Whole time of a request.", &r.Duration, labels...)
	e.counter("gatehouse_request_body_bytes_total", "Bytes of bodies of requests that were read.", float64(r.BytesIn), labels...)
	e.counter("gatehouse_response_body_bytes_total", "Bytes of bodies of responses that were sent.", float64(r.BytesOut), labels...)
	for check, n := range r.Refusals {
		e.counter("gatehouse_requests_refused_total", "Requests that were refused, by the limit or check that did.", float64(n), with("check", check)...)
	}
	for limit, n := range r.TimeLimits {
		e.counter("gatehouse_requests_timed_out_total", "Requests that a limit of time has ended, by its key.", float64(n), with("limit", limit)...)
	}
	e.counter("gatehouse_panics_total", "Panics of an application in this process.", float64(r.Panics), labels...)
	e.counter("gatehouse_requests_aborted_total", "Requests that an administrator has aborted.", float64(r.Aborted), labels...)
}

// programs sends the figures of programs that have ended.
func (e emitter) programs(p *cgi.ProgramStats, labels []string) {
	if p.Count() == 0 {
		return
	}
	with := func(more ...string) []string { return append(labels[:len(labels):len(labels)], more...) }
	for status, n := range p.Exits {
		e.counter("gatehouse_program_exits_total", "Programs that have exited, by status.", float64(n), with("status", strconv.Itoa(status))...)
	}
	for signal, n := range p.Signals {
		e.counter("gatehouse_program_signals_total", "Programs that a signal has ended.", float64(n), with("signal", signal)...)
	}
	const help = "Processor time of programs that have ended."
	e.counter("gatehouse_program_cpu_seconds_total", help, p.User.Seconds(), with("mode", "user")...)
	e.counter("gatehouse_program_cpu_seconds_total", help, p.System.Seconds(), with("mode", "system")...)
	e.gauge("gatehouse_program_peak_memory_bytes", "The most that any program has had resident.", float64(p.PeakMemory), labels...)
}

// state sends how an application is that starts programs or passes requests on.
func (e emitter) state(a *cgi.AppState, labels []string) {
	with := func(more ...string) []string { return append(labels[:len(labels):len(labels)], more...) }
	e.use("gatehouse_programs", "", "programs that run, or connections to an application that are in use", a.Programs, labels...)
	e.use("gatehouse_queue", "", "requests that wait for a program or a connection (queue)", a.Queue, labels...)
	for _, x := range a.Addresses {
		const help = "Connections to an address of an application."
		e.gauge("gatehouse_upstream_connections", help, float64(x.Active), with("address", x.Address, "state", "active")...)
		e.gauge("gatehouse_upstream_connections", help, float64(x.Idle), with("address", x.Address, "state", "idle")...)
		e.gauge("gatehouse_upstream_failures", "Failures in a row of an address of an application.", float64(x.Failures), with("address", x.Address)...)
		e.gauge("gatehouse_upstream_avoided", "1 while other addresses of the application are preferred.", oneIf(x.Avoided.After(time.Now())), with("address", x.Address)...)
	}
	if a.Kind != "fastcgi_exec" && len(a.Processes) == 0 {
		return
	}
	states := map[string]int{"starting": 0, "idle": 0, "busy": 0, "ending": 0}
	var memory int64
	for _, p := range a.Processes {
		states[p.State]++
		memory += p.Memory
	}
	for state, n := range states {
		e.gauge("gatehouse_kept_processes", "Processes that are kept, by state.", float64(n), with("state", state)...)
	}
	e.gauge("gatehouse_kept_processes_memory_bytes", "Resident memory of all processes that are kept.", float64(memory), labels...)
	e.gauge("gatehouse_kept_processes_failing", "1 if no process could be started since the last one failed.", oneIf(a.Failure != ""), labels...)
}

// formatOf returns the best format of metrics that a client accepts.
func formatOf(r *http.Request) expfmt.Format { return expfmt.NegotiateIncludingOpenMetrics(r.Header) }

// writeMetrics writes metrics in a format.
func writeMetrics(w io.Writer, format expfmt.Format, s *Stats, version string, refused uint64) error {
	enc := expfmt.NewEncoder(w, format)
	for _, f := range familiesOf(s, version, refused) {
		if err := enc.Encode(f); err != nil {
			return err
		}
	}
	if c, ok := enc.(expfmt.Closer); ok {
		return c.Close()
	}
	return nil
}

func seconds(t time.Time) float64 { return float64(t.UnixNano()) / 1e9 }

func oneIf(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
