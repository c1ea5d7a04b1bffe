package admin

import (
	"strings"
	"testing"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// TestMetrics: the lines for each kind of figure, and what the parser of Prometheus makes of
// them.
func TestMetrics(t *testing.T) {
	h := &Handler{Source: newGateway(), Version: "v1"}
	got := ask(h, true, "GET", "/metrics", "")
	text := got.Body.String()
	for _, want := range []string{
		`gatehouse_build_info{version="v1",goversion="go`,
		`gatehouse_requests_total{application="/cgi-bin",protocol="fastcgi",class="2xx"} 3`,
		`gatehouse_requests_total{application="/cgi-bin",protocol="scgi",class="gone"} 5`,
		`gatehouse_requests_in_flight{application="/cgi-bin"} 1`,
		`gatehouse_request_duration_seconds_bucket{application="/cgi-bin",le="0.001"} 3`,
		`gatehouse_request_duration_seconds_bucket{application="/cgi-bin",le="1"} 4`,
		`gatehouse_request_duration_seconds_bucket{application="/cgi-bin",le="+Inf"} 4`,
		`gatehouse_request_duration_seconds_sum{application="/cgi-bin"} 0.5`,
		`gatehouse_requests_refused_total{application="/cgi-bin",check="queue"} 6`,
		`gatehouse_requests_timed_out_total{application="/cgi-bin",limit="first_byte"} 7`,
		`gatehouse_program_signals_total{application="/cgi-bin",signal="SIGSEGV"} 9`,
		`gatehouse_program_cpu_seconds_total{application="/cgi-bin",mode="user"} 1`,
		`gatehouse_programs{application="/cgi-bin"} 2`,
		`gatehouse_programs_limit{application="/cgi-bin"} 8`,
		`gatehouse_kept_processes{application="/cgi-bin",state="busy"} 1`,
		`gatehouse_upstream_connections{application="/cgi-bin",address="unix:/run/a.sock",state="idle"} 1`,
		`gatehouse_listener_backlog{protocol="fastcgi",listener="127.0.0.1:9000"} 4`,
		`gatehouse_listener_connections{protocol="fastcgi",listener="127.0.0.1:9000 (2)"} 0`,
		`gatehouse_connections_closed_at_once_total{protocol="fastcgi",check="allow"} 2`,
		`process_open_fds 9`,
		`process_max_fds 1024`,
		`gatehouse_requests_in_flight{application="<script>alert('x')</script>\"\n` + "\uFFFD" + `"} 1`,
	} {
		if !strings.Contains(text, "\n"+want) {
			t.Errorf("no line %s", want)
		}
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(text))
	if err != nil || len(families) < 40 {
		t.Errorf("%d families, %v", len(families), err)
	}
	for name, f := range families {
		if f.GetHelp() == "" {
			t.Errorf("%s has no help", name)
		}
		seen := make(map[string]bool)
		for _, m := range f.Metric {
			if seen[m.String()] {
				t.Errorf("%s is there twice: %s", name, m)
			}
			seen[m.String()] = true
		}
	}
	got = ask(h, true, "GET", "/metrics", "", "Accept", "application/openmetrics-text; version=1.0.0")
	if kind := got.Header().Get("Content-Type"); !strings.HasPrefix(kind, "application/openmetrics-text; version=1.0.0") || !strings.HasSuffix(got.Body.String(), "# EOF\n") {
		t.Errorf("OpenMetrics: %s", kind)
	}
}
