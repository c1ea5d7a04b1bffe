package admin

import (
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"gatehouse"
	"gatehouse/cgi"
	"gatehouse/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// A gateway is a Source that shows what a test has put in.
type gateway struct {
	mu       sync.Mutex
	stats    Stats
	inFlight []cgi.InFlight
	hold     chan struct{} // Stats waits for it; nil: not
	entered  chan struct{} // Stats says that it waits
}

func (g *gateway) Stats() Stats {
	if g.hold != nil {
		g.entered <- struct{}{}
		<-g.hold
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.stats
}

func (g *gateway) Ready() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.stats.Ready
}

func (g *gateway) InFlight() []cgi.InFlight {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.inFlight)
}

func (g *gateway) Look(id uint64) (Look, bool) {
	for _, r := range g.InFlight() {
		if r.ID == id {
			return Look{Request: r, Facts: []slog.Attr{slog.String("processes", hostile)}, Limits: []Fact{{"first_byte", "1m0s"}}}, true
		}
	}
	return Look{}, false
}

func (g *gateway) Abort(id uint64, cause error) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	n := len(g.inFlight)
	g.inFlight = slices.DeleteFunc(g.inFlight, func(r cgi.InFlight) bool { return r.ID == id })
	return len(g.inFlight) < n
}

const hostile = "<script>alert('x')</script>\"\n\xff"

// newGateway returns a gateway with one of each.
func newGateway() *gateway {
	var h cgi.Histogram
	h.Bounds, h.Counts, h.Sum = []time.Duration{time.Millisecond, time.Second}, []uint64{3, 1, 0}, 500*time.Millisecond
	requests := cgi.RequestStats{
		Application: "/cgi-bin", InFlight: 1, Wait: h, FirstByte: h, Duration: h, BytesIn: 10, BytesOut: 20,
		Ended: []cgi.EndCount{{Protocol: "fastcgi", Class: "2xx", Code: 200, Count: 2}, {Protocol: "fastcgi", Class: "2xx", Code: 204, Count: 1},
			{Protocol: "scgi", Class: "5xx", Code: 502, Count: 4}, {Protocol: "scgi", Class: "gone", Count: 5}},
		Refusals: map[string]uint64{"queue": 6}, TimeLimits: map[string]uint64{"first_byte": 7},
		Programs: cgi.ProgramStats{Exits: map[int]uint64{0: 8, 3: 1}, Signals: map[string]uint64{"SIGSEGV": 9}, User: time.Second, PeakMemory: 4096},
	}
	named := requests
	named.Application = hostile
	return &gateway{
		stats: Stats{
			Stats: gatehouse.Stats{
				Time: time.Unix(1000, 0), Started: time.Unix(900, 0), Requests: requests,
				Applications: []gatehouse.ApplicationStats{
					{RequestStats: requests, State: &cgi.AppState{Kind: "fastcgi_exec", Programs: cgi.Use{Used: 2, Limit: 8}, Queue: cgi.Use{Used: 1, Limit: 1024},
						Addresses: []cgi.AddressState{{Address: "unix:/run/a.sock", Active: 2, Idle: 1}},
						Processes: []cgi.ProcessState{{PID: 77, State: "busy", Memory: 1 << 20}}}},
					{RequestStats: named},
				},
				Listeners: []gatehouse.ListenerStats{{Protocol: gatehouse.FastCGI, Address: "127.0.0.1:9000", ConnectionStats: cgi.ConnectionStats{Open: cgi.Use{Used: 3, Limit: 10000}}, Backlog: &cgi.Use{Used: 4, Limit: 511}},
					{Protocol: gatehouse.FastCGI, Address: "127.0.0.1:9000"}},
				Connections: map[gatehouse.Protocol]cgi.ConnectionStats{gatehouse.FastCGI: {Accepted: 5, Refused: map[string]uint64{"allow": 2}}},
				Process:     gatehouse.ProcessStats{PID: 42, User: time.Second, Memory: cgi.Use{Used: 5 << 20}, Descriptors: cgi.Use{Used: 9, Limit: 1024}},
			},
			Ready: true,
		},
		inFlight: []cgi.InFlight{{ID: 12, RequestID: "k7rm3qxp-12", Application: "/cgi-bin", Method: "GET", Target: "/" + hostile, Client: hostile, State: cgi.Running, Usage: cgi.Usage{Program: hostile, PID: 99}}},
	}
}
