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

// familiesOf turns figures into metrics, in the order of families. No label holds anything that a
// client sends.
func familiesOf(s *Stats, version string, refused uint64) []*dto.MetricFamily {
	e := newEmitter()
	e.gauge("gatehouse_build_info", 1, "version", version, "goversion", runtime.Version())
	e.counter("gatehouse_admin_refused_total", refused)
	e.process(s)
	e.reloads(s)
	e.spool(s)
	e.listeners(s)
	var protocols []string
	for i := range s.Listeners {
		protocols = append(protocols, string(s.Listeners[i].Protocol))
	}
	for i := range s.Applications {
		a := &s.Applications[i]
		labels := []string{"application", a.Application}
		if a.Authorizer {
			labels[1] = "authorizer " + a.Application
		}
		e.requests(&a.RequestStats, protocols, labels)
		e.programs(&a.Programs, labels)
		if a.State != nil {
			e.state(a.State, labels)
		}
	}
	var list []*dto.MetricFamily
	for i := range families {
		if f := e[families[i].name]; len(f.Metric) > 0 {
			list = append(list, f)
		}
	}
	return list
}

// An emitter collects metrics by their names, which are those of families. Labels are pairs of
// a name and a value.
type emitter map[string]*dto.MetricFamily

func newEmitter() emitter {
	e := make(emitter)
	for i := range families {
		f := &families[i]
		e[f.name] = &dto.MetricFamily{Name: &f.name, Help: &f.help, Type: &f.kind}
	}
	return e
}

// add adds a metric of a family.
func (e emitter) add(name string, labels []string) *dto.Metric {
	m := new(dto.Metric)
	for i := 0; i < len(labels); i += 2 {
		value := strings.ToValidUTF8(labels[i+1], "\uFFFD")
		m.Label = append(m.Label, &dto.LabelPair{Name: &labels[i], Value: &value})
	}
	f := e[name]
	f.Metric = append(f.Metric, m)
	return m
}

func (e emitter) counter(name string, count uint64, labels ...string) {
	e.sum(name, float64(count), labels...)
}

// sum is counter for what is no whole number.
func (e emitter) sum(name string, value float64, labels ...string) {
	e.add(name, labels).Counter = &dto.Counter{Value: &value}
}

func (e emitter) gauge(name string, value float64, labels ...string) {
	e.add(name, labels).Gauge = &dto.Gauge{Value: &value}
}

func (e emitter) histogram(name string, h *cgi.Histogram, labels ...string) {
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
	e.add(name, labels).Histogram = &dto.Histogram{SampleCount: &count, SampleSum: &sum, Bucket: buckets}
}

// each sends a counter for each name that there is, and for those in always, which are 0
// until then: Prometheus cannot tell how much a counter has grown that was not there before.
func (e emitter) each(name, label string, counts map[string]uint64, always []string, labels []string) {
	for _, x := range always {
		if _, there := counts[x]; !there {
			e.counter(name, 0, with(labels, label, x)...)
		}
	}
	for _, x := range slices.Sorted(maps.Keys(counts)) {
		e.counter(name, counts[x], with(labels, label, x)...)
	}
}

// with returns labels and more of them.
func with(labels []string, more ...string) []string {
	return append(labels[:len(labels):len(labels)], more...)
}

// use sends how much of something is in use, beside its limit, if it has one. The unit, if any,
// ends the names.
func (e emitter) use(name, unit string, u cgi.Use, labels ...string) {
	e.gauge(name+unit, float64(u.Used), labels...)
	if u.Limit > 0 {
		e.gauge(name+"_limit"+unit, float64(u.Limit), labels...)
	}
}

// process sends the figures of this process.
func (e emitter) process(s *Stats) {
	p := &s.Process
	e.sum("process_cpu_seconds_total", (p.User + p.System).Seconds())
	if p.Memory.Used > 0 { // else the system does not tell, as without a free descriptor
		e.gauge("process_resident_memory_bytes", float64(p.Memory.Used))
	}
	if p.Memory.Limit > 0 {
		e.gauge("gatehouse_memory_limit_bytes", float64(p.Memory.Limit))
	}
	if p.Descriptors.Used > 0 {
		e.gauge("process_open_fds", float64(p.Descriptors.Used))
	}
	if p.Descriptors.Limit > 0 {
		e.gauge("process_max_fds", float64(p.Descriptors.Limit))
	}
	if !s.Started.IsZero() {
		e.gauge("process_start_time_seconds", seconds(s.Started))
	}
	e.gauge("go_goroutines", float64(p.Goroutines))
	e.gauge("gatehouse_ready", oneIf(s.Ready))
	e.each("gatehouse_log_lines_dropped_total", "log", s.Dropped, nil, nil)
}

// reloads sends the figures of reloads.
func (e emitter) reloads(s *Stats) {
	r := &s.Reloads
	e.counter("gatehouse_reloads_total", r.Succeeded, "result", "success")
	e.counter("gatehouse_reloads_total", r.Failed, "result", "failure")
	e.gauge("gatehouse_last_reload_successful", oneIf(r.Failure == ""))
	if !r.Last.IsZero() {
		e.gauge("gatehouse_last_reload_timestamp_seconds", seconds(r.Last))
	}
	e.use("gatehouse_old_configurations", "", r.Old)
	e.counter("gatehouse_old_configurations_refused_total", r.Old.Refused)
}

// spool sends what bodies and variables take.
func (e emitter) spool(s *Stats) {
	for _, x := range []struct {
		name, unit string
		use        cgi.Use
	}{
		{"gatehouse_spool", "_bytes", s.SpoolDisk}, {"gatehouse_spool_memory", "_bytes", s.SpoolMemory},
		{"gatehouse_spool_files", "", s.SpoolFiles}, {"gatehouse_params", "_bytes", s.Params},
	} {
		e.use(x.name, x.unit, x.use)
		e.counter(x.name+"_refused_total", x.use.Refused)
	}
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
		e.use("gatehouse_listener_connections", "", l.Open, labels...)
		e.counter("gatehouse_listener_connections_waited_total", l.Open.Waited, labels...)
		if l.Backlog != nil {
			e.gauge("gatehouse_listener_backlog", float64(l.Backlog.Used), labels...)
			e.gauge("gatehouse_listener_backlog_limit", float64(l.Backlog.Limit), labels...)
		}
	}
	e.use("gatehouse_connections", "", s.AllConnections)
	e.counter("gatehouse_connections_waited_total", s.AllConnections.Waited)
	for _, protocol := range slices.Sorted(maps.Keys(s.Connections)) {
		c, labels := s.Connections[protocol], []string{"protocol", string(protocol)}
		e.counter("gatehouse_connections_accepted_total", c.Accepted, labels...)
		e.counter("gatehouse_connections_evicted_total", c.Evicted, labels...)
		e.counter("gatehouse_accept_failures_total", c.Failed, labels...)
		e.each("gatehouse_connections_closed_at_once_total", "check", c.Refused, nil, labels)
		e.each("gatehouse_requests_declined_total", "check", c.Declined, nil, labels)
	}
}

// classes are those that a protocol has from the beginning; "1xx" and "other" come if an
// application has such a status.
var classes = [...]string{"2xx", "3xx", "4xx", "5xx", "truncated", "gone"}

// requests sends the figures of the requests to an application, which come by protocols.
func (e emitter) requests(r *cgi.RequestStats, protocols, labels []string) {
	ended := make(map[string]map[string]uint64) // by protocol and class
	for _, p := range protocols {
		ended[p] = make(map[string]uint64)
	}
	for _, c := range r.Ended {
		if ended[c.Protocol] == nil {
			ended[c.Protocol] = make(map[string]uint64)
		}
		ended[c.Protocol][c.Class] += c.Count
	}
	for _, p := range slices.Sorted(maps.Keys(ended)) {
		e.each("gatehouse_requests_total", "class", ended[p], classes[:], with(labels, "protocol", p))
	}
	e.gauge("gatehouse_requests_in_flight", float64(r.InFlight), labels...)
	e.gauge("gatehouse_requests_waiting", float64(r.Waiting), labels...)
	e.histogram("gatehouse_request_wait_seconds", &r.Wait, labels...)
	e.histogram("gatehouse_request_first_byte_seconds", &r.FirstByte, labels...)
	e.histogram("gatehouse_request_duration_seconds", &r.Duration, labels...)
	e.counter("gatehouse_request_body_bytes_total", r.BytesIn, labels...)
	e.counter("gatehouse_response_body_bytes_total", r.BytesOut, labels...)
	e.each("gatehouse_requests_refused_total", "check", r.Refusals, nil, labels)
	e.each("gatehouse_requests_timed_out_total", "limit", r.TimeLimits, []string{"first_byte", "silence", "run"}, labels)
	e.counter("gatehouse_requests_aborted_total", r.Aborted, labels...)
	e.counter("gatehouse_panics_total", r.Panics, labels...)
}

// programs sends the figures of programs that have ended.
func (e emitter) programs(p *cgi.ProgramStats, labels []string) {
	if p.Count() == 0 {
		return
	}
	for _, status := range slices.Sorted(maps.Keys(p.Exits)) {
		e.counter("gatehouse_program_exits_total", p.Exits[status], with(labels, "status", strconv.Itoa(status))...)
	}
	e.each("gatehouse_program_signals_total", "signal", p.Signals, nil, labels)
	e.sum("gatehouse_program_cpu_seconds_total", p.User.Seconds(), with(labels, "mode", "user")...)
	e.sum("gatehouse_program_cpu_seconds_total", p.System.Seconds(), with(labels, "mode", "system")...)
	e.gauge("gatehouse_program_peak_memory_bytes", float64(p.PeakMemory), labels...)
}

// state sends how an application is that starts programs or passes requests on.
func (e emitter) state(a *cgi.AppState, labels []string) {
	e.use("gatehouse_programs", "", a.Programs, labels...)
	e.counter("gatehouse_programs_waited_total", a.Programs.Waited, labels...)
	e.counter("gatehouse_programs_refused_total", a.Programs.Refused, labels...)
	e.use("gatehouse_queue", "", a.Queue, labels...)
	e.counter("gatehouse_queue_refused_total", a.Queue.Refused, labels...)
	for _, x := range a.Addresses {
		labels := with(labels, "address", x.Address)
		e.gauge("gatehouse_upstream_connections", float64(x.Active), with(labels, "state", "active")...)
		e.gauge("gatehouse_upstream_connections", float64(x.Idle), with(labels, "state", "idle")...)
		e.gauge("gatehouse_upstream_consecutive_failures", float64(x.Failures), labels...)
		e.gauge("gatehouse_upstream_avoided", oneIf(x.Avoided.After(time.Now())), labels...)
	}
	if a.Kind != "fastcgi_exec" && a.Kind != "wsgi" && len(a.Processes) == 0 {
		return
	}
	states := map[string]int{"starting": 0, "idle": 0, "busy": 0, "ending": 0}
	memory, known := int64(0), true
	for _, p := range a.Processes {
		states[p.State]++
		memory += p.Memory
		known = known && (p.Memory > 0 || p.PID == 0) // else nobody tells
	}
	for _, state := range slices.Sorted(maps.Keys(states)) {
		e.gauge("gatehouse_kept_processes", float64(states[state]), with(labels, "state", state)...)
	}
	if known {
		e.gauge("gatehouse_kept_processes_memory_bytes", float64(memory), labels...)
	}
	e.gauge("gatehouse_kept_processes_failing", oneIf(a.Failure != ""), labels...)
}

// formatOf returns the best format of metrics that a client accepts.
func formatOf(r *http.Request) expfmt.Format {
	return expfmt.NegotiateAccept(r.Header, expfmt.DefaultOpenMetricsAcceptedFormats()...)
}

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
