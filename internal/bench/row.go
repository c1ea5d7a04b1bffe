//go:build linux

package main

import (
	"fmt"
	"slices"
	"time"
)

// A row compares a side with its peers.
type row struct {
	name  string // rows may share one
	title string
	ours  contender
	peers []rival
	fresh bool // each measurement starts its side anew
	once  bool // one round is enough, because rounds take long and differ little
}

// A contender is a side under a load.
type contender struct {
	side  side
	meter meter
}

// A meter puts a load on a side, and measures one or more figures.
type meter interface {
	// figures returns the names of the figures, each with its unit.
	figures() []string
	measure(r *running, length time.Duration) ([]float64, error)
}

// A rival is a peer, and the goal of the first figure against it.
type rival struct {
	contender
	goal goal
}

// A goal is a bound on a figure; zero means none.
type goal struct {
	ratio float64 // ours is at least this many times the peer's
	most  float64 // ours is at most this
	over  float64 // ours is at most this much more than the peer's
}

func (g goal) String() string {
	switch {
	case g.ratio > 0:
		return fmt.Sprintf("≥ %g ×", g.ratio)
	case g.most > 0:
		return fmt.Sprintf("≤ %g", g.most)
	case g.over > 0:
		return fmt.Sprintf("≤ + %g", g.over)
	}
	return ""
}

func (g goal) met(ours, theirs, ratio float64) bool {
	return (g.ratio == 0 || ratio >= g.ratio) && (g.most == 0 || ours <= g.most) && (g.over == 0 || ours <= theirs+g.over)
}

// A scale sets the sizes of the rows.
type scale struct {
	size      int           // bytes of a large body
	requests  int           // whose allocations are counted
	idle      int           // connections
	steadyFor time.Duration // of the idle row
	many      []int         // connections
	stream    int           // bytes that a program sends, or is sent, in all
	slow      int           // clients
	clients   int           // that wait for programs
	hoards    hoarding      // the attack
}

func full() scale {
	return scale{size: 100e6, requests: 20_000, idle: 5_000, steadyFor: 3 * time.Second, many: []int{64, 1_000, 10_000},
		stream: 10e9, slow: 64, clients: 1_000,
		hoards: hoarding{connections: 8, requests: 100, size: 1_000_000, settle: time.Minute}}
}

// rows returns all rows. {dir} stands for the workshop's directory.
func rows(w *workshop, n scale) []row {
	kept := load{connections: 8, request: request{keep: true}}
	each := load{connections: 8}
	against := func(s side, m meter, g goal) rival { return rival{contender{s, m}, g} }
	atLeast := func(ratio float64) goal { return goal{ratio: ratio} }
	atMost := func(figure float64) goal { return goal{most: figure} }
	send, post := fetching{size: n.size}, posting{size: n.size}
	allocs, idle := allocating{n.requests}, resident{n.idle, n.steadyFor}

	all := []row{
		{name: "app", title: "App, 8 kept connections", ours: contender{self(ourApp, hello), kept}, peers: []rival{
			against(self(netFCGI, hello), kept, atLeast(5.5)),
			against(libfcgi(8), kept, atLeast(1)),
			against(self(bareLoop, hello), kept, atLeast(0.85)),
		}},
		{name: "gateway", title: "gatehouse --app=hello, 8 kept connections", ours: contender{gateway("/=hello"), kept}, peers: []rival{
			against(self(ourApp, hello), kept, goal{}),
		}},
		{name: "handler", title: "http.Handler, 8 kept connections", ours: contender{self(ourHandler, hello), kept}, peers: []rival{
			against(self(netFCGI, hello), kept, atLeast(4.5)),
			against(libfcgi(8), kept, atLeast(0.9)),
		}},
		{name: "connect", title: "App, a connection per request, 8 at a time", ours: contender{self(ourApp, hello), each}, peers: []rival{
			against(self(netFCGI, hello), each, atLeast(3)),
			against(libfcgi(8), each, atLeast(0.95)),
			against(self(bareLoop, hello), each, goal{}),
		}},
		{name: "response", title: "App, large responses", ours: contender{self(ourApp, sender).sized(n.size), send}, peers: []rival{
			against(self(netFCGI, sender).sized(n.size), send, atLeast(1.5)),
			against(self(bareLoop, sender).sized(n.size), send, atLeast(0.8)),
		}},
		{name: "response", title: "http.Handler, large responses", ours: contender{self(ourHandler, sender).sized(n.size), send}, peers: []rival{
			against(self(netFCGI, sender).sized(n.size), send, atLeast(1.5)),
		}},
		{name: "body", title: "App, large bodies", ours: contender{self(ourApp, reader), post}, peers: []rival{
			against(self(netFCGI, reader), post, atLeast(1.5)),
			against(self(bareLoop, reader), post, atLeast(0.8)),
		}},
		{name: "body", title: "http.Handler, large bodies", ours: contender{self(ourHandler, reader), post}, peers: []rival{
			against(self(netFCGI, reader), post, atLeast(1.5)),
		}},
		{name: "allocs", title: "App, objects per request", ours: contender{self(ourApp, hello), allocs}, peers: []rival{
			against(self(netFCGI, hello), allocs, atMost(4)),
		}},
		{name: "allocs", title: "http.Handler, objects per request", ours: contender{self(ourHandler, hello), allocs}, peers: []rival{
			against(self(netFCGI, hello), allocs, atMost(25)),
		}},
		{name: "idle", title: fmt.Sprintf("App, memory of one of %d idle connections", n.idle), fresh: true, ours: contender{self(ourApp, hello), idle}, peers: []rival{
			against(self(netFCGI, hello), idle, atMost(6)),
		}},
	}
	for _, requests := range []int{8, 64} {
		g := goal{}
		if requests == 64 {
			g = atLeast(1)
		}
		eight := self(ourApp, hello)
		eight.name = "8 kept connections"
		all = append(all, row{name: "multiplex", title: fmt.Sprintf("App, %d requests on one connection", requests),
			ours: contender{self(ourApp, hello), multiplexed{requests}}, peers: []rival{against(eight, kept, g)}})
	}
	for _, connections := range n.many {
		l := load{connections: connections, request: request{keep: true}, latency: true}
		all = append(all, row{name: "many", title: fmt.Sprintf("App, %d kept connections", connections),
			ours: contender{self(ourApp, hello), l}, peers: []rival{against(self(bareLoop, hello), l, atLeast(0.85))}})
	}
	unbounded := gateway("/=hello").configured(`params_total = "off"`)
	unbounded.name = "params_total = off"
	all = append(all, row{name: "attack", title: fmt.Sprintf("gatehouse, memory with %d unfinished heads of %.3g MB", n.hoards.connections*n.hoards.requests, float64(n.hoards.size)/1e6),
		fresh: true, once: true, ours: contender{gateway("/=hello"), n.hoards}, peers: []rival{against(unbounded, n.hoards, atMost(n.hoards.bound()))}})
	return slices.Concat(all, cgiRows(w, n), forwardRows(w, n), keptRows(w, n), wsgiRows(), wsgiFileRows(n), wsgiSlowRows(n))
}
