package admin

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"gatehouse"
	"gatehouse/cgi"
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

// wholeGateway returns a gateway with everything that there can be a figure of.
func wholeGateway() *gateway {
	g := newGateway()
	s := &g.stats
	full := cgi.Use{Used: 1, Limit: 2, Waited: 3, Refused: 4}
	s.AllConnections, s.SpoolDisk, s.SpoolMemory, s.SpoolFiles, s.Params, s.Reloads.Old, s.Process.Memory = full, full, full, full, full, full, full
	s.Reloads.Last = time.Unix(950, 0)
	s.Dropped = map[string]uint64{"log": 1}
	c := s.Connections[gatehouse.FastCGI]
	c.Declined = map[string]uint64{"max_requests": 1}
	s.Connections[gatehouse.FastCGI] = c
	return g
}

// TestOperatingPage: docs/operating.md has each metric, with its type and labels, and no other,
// and each can be sent.
func TestOperatingPage(t *testing.T) {
	b, err := os.ReadFile("../../docs/operating.md")
	if err != nil {
		t.Fatal(err)
	}
	page, sent := string(b), make(map[string]bool)
	for _, f := range familiesOf(&wholeGateway().stats, "v1", 1) {
		sent[f.GetName()] = true
		var labels []string
		for _, l := range f.Metric[0].Label {
			labels = append(labels, l.GetName())
		}
		cell := strings.Join(labels, ", ")
		if cell != "" {
			cell += " "
		}
		if want := fmt.Sprintf("\n| `%s` | %s | %s| ", f.GetName(), strings.ToLower(f.GetType().String()), cell); !strings.Contains(page, want) {
			t.Errorf("the page has no line %q", want)
		}
	}
	for i := range families {
		if name := families[i].name; !sent[name] {
			t.Errorf("%s is never sent", name)
		}
	}
	rows := 0
	for line := range strings.Lines(page) {
		for _, prefix := range []string{"| `gatehouse_", "| `process_", "| `go_"} {
			if strings.HasPrefix(line, prefix) {
				rows++
			}
		}
	}
	if rows != len(families) {
		t.Errorf("the page has %d metrics; there are %d", rows, len(families))
	}
}

// TestCountersFromTheBeginning: Prometheus must see a counter before it grows for the first time.
func TestCountersFromTheBeginning(t *testing.T) {
	g := newGateway()
	g.stats.Applications = []gatehouse.ApplicationStats{{RequestStats: cgi.RequestStats{Application: "/new"}, State: new(cgi.AppState)}}
	text := ask(&Handler{Source: g}, true, "GET", "/metrics", "").Body.String()
	for _, want := range []string{
		`gatehouse_requests_total{application="/new",protocol="fastcgi",class="2xx"} 0`,
		`gatehouse_requests_total{application="/new",protocol="fastcgi",class="5xx"} 0`,
		`gatehouse_requests_total{application="/new",protocol="fastcgi",class="truncated"} 0`,
		`gatehouse_requests_total{application="/new",protocol="fastcgi",class="gone"} 0`,
		`gatehouse_requests_timed_out_total{application="/new",limit="first_byte"} 0`,
		`gatehouse_programs_refused_total{application="/new"} 0`,
	} {
		if !strings.Contains(text, "\n"+want+"\n") {
			t.Errorf("no line %s", want)
		}
	}
}
