package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"golang.org/x/sys/unix"

	"gatehouse/internal/testkit"
)

// A scraper has one connection to an address that shows what gatehouse does.
type scraper struct {
	t *testing.T
	c net.Conn
	r *bufio.Reader
}

func (g *gateway) scraper(protocol string) *scraper {
	c := g.dial(protocol)
	g.t.Cleanup(func() { c.Close() })
	return &scraper{g.t, c, bufio.NewReader(c)}
}

// get returns what is at a path.
func (s *scraper) get(path string) (status int, body string) {
	s.t.Helper()
	io.WriteString(s.c, "GET "+path+" HTTP/1.1\r\nHost: localhost\r\n\r\n")
	resp, err := http.ReadResponse(s.r, nil)
	if err != nil {
		s.t.Fatal(path, err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(path, err)
	}
	return resp.StatusCode, string(text)
}

// figures returns the metrics without those of histograms, by their names and labels.
func (s *scraper) figures() map[string]float64 {
	s.t.Helper()
	status, text := s.get("/metrics")
	if status != 200 {
		s.t.Fatal(status, text)
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(text))
	if err != nil {
		s.t.Fatal(err)
	}
	found := make(map[string]float64)
	for name, f := range families {
		for _, m := range f.Metric {
			id := name
			for _, l := range m.Label {
				if l.GetName() != "listener" {
					id += " " + l.GetName() + "=" + l.GetValue()
				}
			}
			found[id] = m.GetGauge().GetValue() + m.GetCounter().GetValue()
		}
	}
	return found
}

// TestEverythingAtItsLimit: with programs, queue and connections at their limits, and all of
// that stuck, the metrics, /readyz and the command status answer, with true figures.
func TestEverythingAtItsLimit(t *testing.T) {
	const programs, queue, idle = 3, 2, 600
	g := launch(t, `ulimit -Sn 300; ulimit -Hn 512; exec "$@"`,
		"programs = 3\nqueue = 2\nqueue_wait = \"off\"\nfirst_byte = \"off\"\nbody_read = \"off\"\nadmin = \"unix:DIR/a\"\nmetrics = \"127.0.0.1:0\"\n",
		map[string]string{"stuck": "mkfifo gate.$$\nread line <gate.$$\n"})
	early, page := g.scraper("metrics"), g.scraper("admin")
	page.get("/healthz") // it has been accepted
	p := &scgiPeer{g: g}
	ask := func() {
		c := g.dial("scgi")
		head := "CONTENT_LENGTH\x000\x00SCGI\x001\x00REQUEST_METHOD\x00GET\x00REQUEST_URI\x00/bin/stuck\x00SERVER_PROTOCOL\x00HTTP/1.1\x00"
		fmt.Fprintf(c, "%d:%s,", len(head), head)
		t.Cleanup(func() { c.Close() })
	}
	for range programs + queue {
		ask()
	}
	testkit.Until(t, "a full queue", func() bool { return early.figures()["gatehouse_queue application=/bin"] == queue })
	if r, err := p.ask("/bin/stuck", ""); err != nil || r.code != 503 {
		t.Fatalf("beyond the queue: %+v, %v", r, err)
	}
	dialed := programs + queue
	for range idle {
		c := g.dial("scgi")
		defer c.Close()
		io.WriteString(c, "70:CONTENT_LENGTH") // and no more
		dialed++
	}
	var f map[string]float64
	testkit.Until(t, "connections at their limit", func() bool {
		f = early.figures()
		return f["gatehouse_connections"] >= f["gatehouse_connections_limit"]
	})

	// Others than who was there before get answers, too.
	for _, protocol := range []string{"metrics", "admin"} {
		s := g.scraper(protocol)
		if status, body := s.get("/readyz"); status != 200 || body != "ready\n" {
			t.Errorf("%s: /readyz: %d %s", protocol, status, body)
		}
		f = s.figures()
		for name, want := range map[string]float64{
			"gatehouse_programs application=/bin": programs, "gatehouse_programs_limit application=/bin": programs,
			"gatehouse_queue application=/bin": queue, "gatehouse_queue_limit application=/bin": queue, "gatehouse_queue_refused_total application=/bin": 1,
			"gatehouse_requests_in_flight application=/bin": programs + queue, "gatehouse_requests_waiting application=/bin": queue,
			"process_max_fds": 511,
		} {
			if f[name] != want {
				t.Errorf("%s: %s is %v, want %v", protocol, name, f[name], want)
			}
		}
		if n := f["process_open_fds"]; n < f["gatehouse_connections"] || n > 511 {
			t.Errorf("%s: %v open descriptors", protocol, n)
		}
		if f["process_resident_memory_bytes"] < 1<<20 {
			t.Errorf("%s: %v bytes of memory", protocol, f["process_resident_memory_bytes"])
		}
		open, backlog := f["gatehouse_listener_connections protocol=scgi"], f["gatehouse_listener_backlog protocol=scgi"]
		if open+backlog != float64(dialed) {
			t.Errorf("%s: of %d connections %v are open, and %v in the backlog", protocol, dialed, open, backlog)
		}
	}
	cmd := exec.Command("gatehouse", "status", "--admin", g.address["admin"])
	out, err := cmd.CombinedOutput()
	if code := cmd.ProcessState.ExitCode(); code != 1 || !strings.Contains(string(out), "gatehouse WARNING: 5 in flight, 2 waiting") ||
		!strings.Contains(string(out), "connections are in use") || !strings.Contains(string(out), "/bin: 2 of 2 places in the queue are taken") {
		t.Errorf("status: %d %v\n%s", code, err, out)
	}

	// Without a single free descriptor, who has a connection gets true figures, or none.
	list, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", g.pid))
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Prlimit(g.pid, unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: uint64(len(list) - 4), Max: 512}, nil); err != nil { // one that ends leaves no room
		t.Fatal(err)
	}
	f = early.figures()
	if n := f["process_open_fds"]; n < float64(len(list))-4 {
		t.Errorf("%v open descriptors of %v", n, f["process_max_fds"])
	}
	if n, told := f["process_resident_memory_bytes"]; told && n < 1<<20 {
		t.Errorf("%v bytes of memory", n)
	}
	if n, told := f["gatehouse_listener_backlog protocol=scgi"]; told && n == 0 {
		t.Error("the backlog is said to be empty")
	}
	_, text := page.get("/status.json")
	for _, want := range []string{`"in_flight":5`, `"waiting":2`} {
		if !strings.Contains(text, want) {
			t.Errorf("status.json lacks %s", want)
		}
	}
}
