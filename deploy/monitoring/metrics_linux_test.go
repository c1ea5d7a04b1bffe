package monitoring

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"gatehouse/deploy"
	"gatehouse/internal/testkit"
)

var loadTime = flag.Duration("monitoring.load", time.Minute, "how long the load of TestPrometheus lasts")

// apps are the applications of the load beside /cgi-bin. The last one is served as prefix.
func apps(dir, prefix string) string {
	return fmt.Sprintf(`
[[app]]
prefix = "/late"
scripts = "%[1]s/bin"
first_byte = "100ms"
[[app]]
prefix = "/one"
scripts = "%[1]s/bin"
programs = 1
queue = 1
queue_wait = "10m"
env = { GATE = "%[1]s/gate" }
[[app]]
prefix = "/php"
fastcgi_exec = "php-cgi"
root = "%[1]s/php"
[[app]]
prefix = "/dead"
fastcgi = "unix:%[1]s/dead"
[[app]]
prefix = "%[2]s"
scripts = "%[1]s/bin"
`, dir, prefix)
}

// TestPrometheus: a real Prometheus scrapes a gateway under load, over a reload that renames an
// application, and each figure is what the clients know. What the files in deploy/prometheus ask
// for is there.
func TestPrometheus(t *testing.T) {
	keys := []string{`fastcgi = "127.0.0.1:0"`}
	g := start(t, programs, keys...)
	g.write(t, "php/hello.php", "<?php echo 'hello';\n", 0o644)
	if err := syscall.Mkfifo(filepath.Join(g.dir, "gate"), 0o600); err != nil {
		t.Fatal(err)
	}
	g.reload(t, apps(g.dir, "/old"), keys...)
	dir := files(t, g.address["metrics"])
	promtool(t, "", "check", "config", filepath.Join(dir, "prometheus.yml"))
	p := startPrometheus(t, dir)
	l := newLoad(g)
	l.add("gatehouse_reloads_total", 1, "success")

	l.run(t, *loadTime/2, kind{application: "/old", path: "/echo", body: 100, class: "2xx", exit: "0"})
	l.fillQueue(t, p)
	compare(t, p, l)
	served := func(application string) func() bool {
		return func() bool {
			got, err := p.query(fmt.Sprintf("gatehouse_requests_total{application=%q}", application))
			return err == nil && len(got) > 0
		}
	}
	testkit.Until(t, "the figures of an application", served("/old"))

	g.reload(t, apps(g.dir, "/new"), keys...)
	l.add("gatehouse_reloads_total", 1, "success")
	l.forget("/old")
	testkit.Until(t, "the figures under the new name", served("/new"))
	if got, err := p.query(`{application="/old"}`); err != nil || len(got) > 0 {
		t.Errorf("of an application that is not served any more: %v, %v", got, err)
	}
	compare(t, p, l)
	l.run(t, *loadTime/2, kind{application: "/new", path: "/echo", body: 100, class: "2xx", exit: "0"})
	compare(t, p, l)

	names := p.names(t)
	for _, name := range names {
		if !regexp.MustCompile(`^(gatehouse|process|go)_.*_(total|count|sum|bucket)$`).MatchString(name) {
			continue
		}
		if fell, err := p.query("resets(" + name + "[1h]) > 0"); err != nil || len(fell) > 0 {
			t.Errorf("a counter fell: %v, %v", fell, err)
		}
	}
	p.checkTarget(t)
	p.checkRules(t)
	documented := documentedMetrics(t)
	for _, name := range names {
		if strings.HasPrefix(name, "gatehouse_") && !documented[family(name)] {
			t.Errorf("docs/operating.md lacks %s", name)
		}
	}
	for expr, file := range expressions(t) {
		whole := file == "dashboard.json" && !strings.Contains(expr, " > ") // which drops what is well
		for _, name := range metricName.FindAllString(expr, -1) {
			if !documented[family(name)] {
				t.Errorf("%s: %s: there is no %s", file, expr, name)
			}
			whole = whole && slices.Contains(names, name)
		}
		var got []sample
		var err error
		if !testkit.Poll(func() bool {
			got, err = p.query(expr)
			return err != nil || len(got) > 0 || !whole
		}) || err != nil {
			t.Errorf("%s: %s: %v, %v", file, expr, got, err)
		}
	}

	resp, err := http.Get("http://" + g.address["metrics"] + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	promtool(t, string(text), "check", "metrics")
}

// fillQueue has an application of one program and one place in the queue refuse requests, and
// looks at both beside their limits.
func (l *load) fillQueue(t *testing.T, p *prometheus) {
	t.Helper()
	g, k := l.gatehouse, kind{application: "/one", path: "/held", class: "2xx", exit: "0"}
	done := make(chan error, 2)
	begin := func() {
		go func() { done <- l.do(t.Context(), "fastcgi", &k) }()
	}
	begin()
	testkit.Until(t, "the program runs", func() bool { return g.application(t, "/one").Running.Used == 1 })
	begin()
	testkit.Until(t, "a request waits", func() bool { return g.application(t, "/one").Waiting == 1 })
	const refused = 3
	for range refused {
		if err := l.do(t.Context(), "http", &kind{application: "/one", path: "/held", class: "5xx", check: "queue"}); err != nil {
			t.Fatal(err)
		}
	}
	l.mu.Lock()
	l.add("gatehouse_programs_refused_total", refused, "/one")
	l.add("gatehouse_queue_refused_total", refused, "/one")
	l.add("gatehouse_request_wait_seconds_count", 1, "/one")
	l.mu.Unlock()
	for name, want := range map[string]float64{"gatehouse_programs": 1, "gatehouse_programs_limit": 1, "gatehouse_queue": 1, "gatehouse_queue_limit": 1,
		"gatehouse_requests_in_flight": 2, "gatehouse_requests_waiting": 1} {
		testkit.Until(t, name, func() bool {
			got, err := p.query(name + `{application="/one"}`)
			return err == nil && len(got) == 1 && got[0].value() == want
		})
	}
	for range 2 {
		gate, err := os.OpenFile(filepath.Join(g.dir, "gate"), os.O_WRONLY, 0) // which waits for the program
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(gate, "go\n")
		gate.Close()
		if err := testkit.Receive(t, "a response", done); err != nil {
			t.Fatal(err)
		}
	}
}

// selectors leave out what no client knows: when the processes of /php end, and who waits for
// a program beside others.
var selectors = map[string]string{
	"gatehouse_program_exits_total":        `{application!="/php"}`,
	"gatehouse_program_signals_total":      `{application!="/php"}`,
	"gatehouse_request_wait_seconds_count": `{application="/one"}`,
}

// compare compares the figures that Prometheus has with those that the load knows, once both
// have all.
func compare(t *testing.T, p *prometheus, l *load) {
	t.Helper()
	if testkit.Poll(func() bool {
		for name, labels := range figures {
			if !maps.Equal(p.sums(t, name+selectors[name], labels), l.known(name)) {
				return false
			}
		}
		return true
	}) {
		return
	}
	for name, labels := range figures {
		if got, want := p.sums(t, name+selectors[name], labels), l.known(name); !maps.Equal(got, want) {
			t.Errorf("%s by %v:\n%v, the clients know\n%v", name, labels, got, want)
		}
	}
	t.Fatal("Prometheus and the clients do not agree")
}

// names returns the names of all metrics.
func (p *prometheus) names(t *testing.T) (names []string) {
	t.Helper()
	if err := p.ask("label/__name__/values", nil, &names); err != nil {
		t.Fatal(err)
	}
	return names
}

// checkTarget: Prometheus takes what it scrapes. That a scrape takes longer than the second it has
// proves nothing: the machine may be busy.
func (p *prometheus) checkTarget(t *testing.T) {
	t.Helper()
	for line := range strings.Lines(p.log.String()) {
		if strings.Contains(line, "Scrape failed") || strings.Contains(line, "Append failed") {
			t.Log(line)
			if !strings.Contains(line, "deadline exceeded") {
				t.Error("a scrape failed")
			}
		}
	}
	for _, name := range []string{"max_over_time(scrape_duration_seconds[1h])", "max_over_time(scrape_samples_scraped[1h])"} {
		if got, err := p.query(name); err != nil || len(got) != 1 {
			t.Errorf("%s: %v, %v", name, got, err)
		} else {
			t.Logf("%s: %v", name, got[0].value())
		}
	}
}

// checkRules: Prometheus has evaluated each alert without an error.
func (p *prometheus) checkRules(t *testing.T) {
	t.Helper()
	var data struct {
		Groups []struct {
			Rules []struct{ Name, Health, LastError string }
		}
	}
	if err := p.ask("rules", url.Values{"type": {"alert"}}, &data); err != nil {
		t.Fatal(err)
	}
	if len(data.Groups) != 1 || len(data.Groups[0].Rules) != strings.Count(read(t, "alerts.yml"), "- alert: ") {
		t.Errorf("rules: %+v", data)
	}
	for _, g := range data.Groups {
		for _, r := range g.Rules {
			if r.Health != "ok" {
				t.Errorf("%s: %s %s", r.Name, r.Health, r.LastError)
			}
		}
	}
}

var metricName = regexp.MustCompile(`\b(gatehouse|process|go)_[a-z0-9_]+\b`)

// family returns the name of a metric without what a histogram adds.
func family(name string) string {
	for _, suffix := range []string{"_bucket", "_count", "_sum"} {
		if short, ok := strings.CutSuffix(name, suffix); ok && strings.HasSuffix(short, "_seconds") {
			return short
		}
	}
	return name
}

// documentedMetrics returns the metrics in docs/operating.md, which daemon/admin holds to those
// that there are.
func documentedMetrics(t *testing.T) map[string]bool {
	t.Helper()
	b, err := os.ReadFile("../../docs/operating.md")
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[string]bool)
	for line := range strings.Lines(string(b)) {
		if name, ok := strings.CutPrefix(line, "| `"); ok {
			name, _, _ = strings.Cut(name, "`")
			all[name] = true
		}
	}
	return all
}

// expressions returns all of the dashboard and the alerts, with the files that they are in.
func expressions(t *testing.T) map[string]string {
	t.Helper()
	all := make(map[string]string)
	var walk func(any)
	walk = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			for k, x := range v {
				if text, ok := x.(string); ok && k == "expr" {
					all[strings.NewReplacer("$__rate_interval", "1m", "$instance", ".*", "$application", ".*").Replace(text)] = "dashboard.json"
				}
				walk(x)
			}
		case []any:
			for _, x := range v {
				walk(x)
			}
		}
	}
	var dashboard any
	if err := json.Unmarshal([]byte(read(t, "dashboard.json")), &dashboard); err != nil {
		t.Fatal(err)
	}
	walk(dashboard)
	if len(all) < 50 {
		t.Errorf("the dashboard has %d expressions", len(all))
	}
	rules := regexp.MustCompile(`(?m)^        expr: (?:\|\n((?:          .*\n)+)|(.+)\n)`)
	found := rules.FindAllStringSubmatch(read(t, "alerts.yml"), -1)
	if len(found) != strings.Count(read(t, "alerts.yml"), "- alert: ") {
		t.Errorf("%d expressions of alerts", len(found))
	}
	for _, x := range found {
		all[strings.TrimSpace(x[1]+x[2])] = "alerts.yml"
	}
	return all
}

// TestAlerts: promtool finds nothing to complain about, each alert fires when it should and stays
// quiet when it should, and each says what to do.
func TestAlerts(t *testing.T) {
	promtool(t, "", "check", "rules", "../prometheus/alerts.yml")
	promtool(t, "", "test", "rules", "testdata/alerts.yml")
	tests, err := os.ReadFile("testdata/alerts.yml")
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile("../../docs/operating.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, rule := range strings.Split(read(t, "alerts.yml"), "- alert: ")[1:] {
		name, _, _ := strings.Cut(rule, "\n")
		if !strings.Contains(string(tests), `{alertname="`+name+`",alertstate="firing",`) {
			t.Errorf("testdata/alerts.yml lacks %s", name)
		}
		if !strings.Contains(string(page), "| `"+name+"` | ") {
			t.Errorf("docs/operating.md lacks %s", name)
		}
		for _, part := range []string{"summary: ", "description: ", "action: ", "severity: "} {
			if strings.Count(rule, part) != 1 {
				t.Errorf("%s has no %s", name, part)
			}
		}
	}
}

// TestAlertsAreTested: promtool notices an alert that stays quiet.
func TestAlertsAreTested(t *testing.T) {
	dir := t.TempDir()
	b, err := os.ReadFile("testdata/alerts.yml")
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"tests.yml":  strings.Replace(string(b), "../../prometheus/", "", 1),
		"alerts.yml": strings.Replace(read(t, "alerts.yml"), "gatehouse_last_reload_successful == 0", "gatehouse_last_reload_successful == 2", 1),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := exec.Command("promtool", "test", "rules", filepath.Join(dir, "tests.yml")).CombinedOutput(); err == nil || !strings.Contains(string(out), "GatehouseReloadFailed") {
		t.Errorf("%v\n%s", err, out)
	}
}

// A panel is one of the dashboard.
type panel struct {
	ID          int
	Type, Title string
	Description string
	GridPos     struct{ X, Y, W, H int }
	Targets     []struct{ RefID, Expr, LegendFormat string }
}

// TestDashboard: no panel lies over another or lacks a title, a description or a query, and each
// query heeds the variables.
func TestDashboard(t *testing.T) {
	var d struct {
		Panels     []panel
		Templating struct{ List []struct{ Name string } }
	}
	if err := json.Unmarshal([]byte(read(t, "dashboard.json")), &d); err != nil {
		t.Fatal(err)
	}
	var variables []string
	for _, v := range d.Templating.List {
		variables = append(variables, v.Name)
	}
	if !slices.Equal(variables, []string{"datasource", "instance", "application"}) {
		t.Errorf("variables %q", variables)
	}
	ids := make(map[int]bool)
	taken := make(map[[2]int]string)
	for _, p := range d.Panels {
		if ids[p.ID] || p.Title == "" || p.Type != "row" && (p.Description == "" || len(p.Targets) == 0) {
			t.Errorf("%+v", p)
		}
		ids[p.ID] = true
		for x := range p.GridPos.W {
			for y := range p.GridPos.H {
				at := [2]int{p.GridPos.X + x, p.GridPos.Y + y}
				if other, there := taken[at]; there || at[0] >= 24 {
					t.Errorf("%q lies over %q, or beside the screen", p.Title, other)
				}
				taken[at] = p.Title
			}
		}
		for _, q := range p.Targets {
			if !strings.Contains(q.Expr, `instance=~"$instance"`) {
				t.Errorf("%q does not heed the instance: %s", p.Title, q.Expr)
			}
		}
	}
}

// TestEveryFileIsTested: the tests here have all files of deploy/prometheus.
func TestEveryFileIsTested(t *testing.T) {
	list, err := fs.Glob(deploy.Files(), "prometheus/*")
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"prometheus/alerts.yml", "prometheus/dashboard.json", "prometheus/scrape.yml"}; !slices.Equal(list, want) {
		t.Errorf("files %q, tested %q", list, want)
	}
}
