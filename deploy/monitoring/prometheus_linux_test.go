package monitoring

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"gatehouse/internal/testkit"
)

// A prometheus is one that runs.
type prometheus struct {
	address string
	log     output
}

// files returns a directory with the configuration of a Prometheus that scrapes a target every
// second: made of the files in deploy/prometheus.
func files(t *testing.T, target string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	scrape := read(t, "scrape.yml")
	for old, new := range map[string]string{"127.0.0.1:4080": target, "scrape_interval: 15s": "scrape_interval: 1s"} {
		_, config, _ := strings.Cut(scrape, "\nscrape_configs:") // behind the comment
		if !strings.Contains(config, old) {
			t.Fatalf("scrape.yml has no %s", old)
		}
		scrape = strings.ReplaceAll(scrape, old, new)
	}
	for name, text := range map[string]string{
		"prometheus.yml": "global: {evaluation_interval: 1s}\nrule_files: [alerts.yml]\n" + scrape,
		"alerts.yml":     read(t, "alerts.yml"),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// read returns a file of deploy/prometheus.
func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile("../prometheus/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// promtool runs promtool, which must find nothing to complain about.
func promtool(t *testing.T, stdin string, args ...string) {
	t.Helper()
	cmd := exec.Command("promtool", args...)
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	if err != nil || args[1] == "metrics" && len(out) > 0 {
		t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

var listensOn = regexp.MustCompile(`msg="Listening on" address=(\S+)`)

// startPrometheus starts a Prometheus with the configuration in a directory.
func startPrometheus(t *testing.T, dir string) *prometheus {
	t.Helper()
	p := new(prometheus)
	cmd := exec.Command("prometheus", "--config.file="+filepath.Join(dir, "prometheus.yml"), "--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address=127.0.0.1:0", "--log.level=debug")
	cmd.Stderr = &p.log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM)
		if err := testkit.Receive(t, "the end of Prometheus", ended); err != nil {
			t.Errorf("%v\n%s", err, p.log.String())
		}
	})
	testkit.Until(t, "Prometheus listens", func() bool {
		found := listensOn.FindStringSubmatch(p.log.String())
		if found == nil {
			return false
		}
		p.address = found[1]
		resp, err := http.Get("http://" + p.address + "/-/ready")
		if err != nil {
			return false
		}
		resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
	return p
}

// ask reads what Prometheus answers at a path of its API.
func (p *prometheus) ask(path string, query url.Values, data any) error {
	resp, err := http.Get("http://" + p.address + "/api/v1/" + path + "?" + query.Encode())
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	var answer struct {
		Status, Error string
		Warnings      []string
		Data          json.RawMessage
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		return err
	}
	if answer.Status != "success" || len(answer.Warnings) > 0 {
		return fmt.Errorf("%s: %s %v", answer.Status, answer.Error, answer.Warnings)
	}
	return json.Unmarshal(answer.Data, data)
}

// A sample is a value of a series now.
type sample struct {
	Metric map[string]string
	Value  [2]any // a time, and the value as text
}

func (s sample) value() float64 {
	text, _ := s.Value[1].(string)
	v, err := strconv.ParseFloat(text, 64)
	if err != nil {
		panic("not a value of Prometheus: " + text)
	}
	return v
}

// query returns what an expression is now.
func (p *prometheus) query(expr string) ([]sample, error) {
	var data struct {
		ResultType string
		Result     []sample
	}
	err := p.ask("query", url.Values{"query": {expr}}, &data)
	if err == nil && data.ResultType != "vector" {
		err = fmt.Errorf("the result is a %s", data.ResultType)
	}
	if err != nil {
		err = fmt.Errorf("%s: %w", expr, err)
	}
	return data.Result, err
}

// sums returns the sums of a metric, by the values of labels, but for those that are 0.
func (p *prometheus) sums(t *testing.T, name string, labels []string) map[string]float64 {
	t.Helper()
	list, err := p.query(fmt.Sprintf("sum by (%s) (%s)", strings.Join(labels, ", "), name))
	if err != nil {
		t.Fatal(err)
	}
	sums := make(map[string]float64)
	for _, s := range list {
		values := make([]string, len(labels))
		for i, label := range labels {
			values[i] = s.Metric[label]
		}
		if v := s.value(); v != 0 {
			sums[fmt.Sprint(values)] = v
		}
	}
	return sums
}
