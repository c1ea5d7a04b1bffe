package admin

import (
	"slices"
	"strings"
	"testing"

	dto "github.com/prometheus/client_model/go"

	"gatehouse/cgi"
)

// TestEachUseHasALimit walks through the gauges: each of what is bounded has its limit beside
// it, and a counter of who waited for it or was refused. The others are listed here.
func TestEachUseHasALimit(t *testing.T) {
	g := newGateway()
	s := &g.stats
	use := cgi.Use{Used: 1, Limit: 2, Waited: 3, Refused: 4}
	s.AllConnections, s.SpoolDisk, s.SpoolMemory, s.SpoolFiles, s.Params = use, use, use, use, use
	s.Process.Memory, s.Process.Descriptors, s.Reloads.Old = use, use, use
	for i := range s.Listeners {
		s.Listeners[i].Open = use
	}
	// What is no use of anything bounded, or is a part of such a use.
	others := []string{"gatehouse_build_info", "gatehouse_ready", "go_goroutines", "process_start_time_seconds", "gatehouse_last_reload_successful",
		"gatehouse_last_reload_timestamp_seconds", "gatehouse_requests_in_flight", "gatehouse_requests_waiting", "gatehouse_program_peak_memory_bytes",
		"gatehouse_kept_processes", "gatehouse_kept_processes_memory_bytes", "gatehouse_kept_processes_failing",
		"gatehouse_upstream_connections", "gatehouse_upstream_consecutive_failures", "gatehouse_upstream_avoided"}
	// Limits that have a name of their own, and what counts who had to wait: connections do if
	// there is no descriptor, or the backlog fills.
	const waits = "gatehouse_connections_waited_total"
	special := map[string][2]string{
		"process_open_fds":              {"process_max_fds", waits},
		"process_resident_memory_bytes": {"gatehouse_memory_limit_bytes", "gatehouse_spool_memory_refused_total"},
		"gatehouse_listener_backlog":    {"gatehouse_listener_backlog_limit", "gatehouse_listener_connections_waited_total"},
	}
	families := make(map[string]*dto.MetricFamily)
	for _, f := range familiesOf(s, "v1", 0) {
		families[f.GetName()] = f
	}
	labels := func(name string) (list []string) {
		for _, m := range families[name].GetMetric() {
			list = append(list, (&dto.Metric{Label: m.Label}).String())
		}
		return list
	}
	uses := 0
	for name, f := range families {
		if f.GetType() != dto.MetricType_GAUGE || slices.Contains(others, name) {
			continue
		}
		base, unit := strings.TrimSuffix(name, "_bytes"), ""
		if base != name {
			unit = "_bytes"
		}
		if strings.HasSuffix(base, "_limit") || name == "process_max_fds" {
			continue
		}
		uses++
		if x, ok := special[name]; ok {
			if families[x[0]] == nil || families[x[1]] == nil {
				t.Errorf("%s has no %s or no %s", name, x[0], x[1])
			}
			continue
		}
		limit, waited, refused := base+"_limit"+unit, base+"_waited_total", base+"_refused_total"
		if !slices.Equal(labels(limit), labels(name)) {
			t.Errorf("%s is %v, but %s is %v", name, labels(name), limit, labels(limit))
		}
		if !slices.Equal(labels(waited), labels(name)) && !slices.Equal(labels(refused), labels(name)) {
			t.Errorf("%s is %v, but %s is %v, and %s %v", name, labels(name), waited, labels(waited), refused, labels(refused))
		}
	}
	if uses < 12 {
		t.Errorf("%d uses", uses)
	}
}

// TestUnknown: what the system does not tell, as without a free descriptor, is left out, and is
// never said to be 0.
func TestUnknown(t *testing.T) {
	g := newGateway()
	s := &g.stats
	s.Process.Memory, s.Process.Descriptors = cgi.Use{}, cgi.Use{}
	s.Applications[0].State.Processes[0].Memory = 0
	for i := range s.Listeners {
		s.Listeners[i].Backlog = nil
	}
	for _, f := range familiesOf(s, "v1", 0) {
		switch f.GetName() {
		case "process_resident_memory_bytes", "process_open_fds", "process_max_fds", "gatehouse_memory_limit_bytes",
			"gatehouse_kept_processes_memory_bytes", "gatehouse_listener_backlog", "gatehouse_listener_backlog_limit":
			t.Errorf("%v", f)
		}
	}
	var text strings.Builder
	h := &Handler{Source: g}
	h.now().WriteText(&text, nil, 0)
	page := ask(h, true, "GET", "/", "").Body.String()
	if !strings.Contains(text.String(), "memory –, descriptors –,") || !strings.Contains(page, "<div>memory<b>–</b></div>") {
		t.Errorf("%s\n%s", text.String(), page)
	}
}
