package fault_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/bits"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse"
	"gatehouse/cgi"
	"gatehouse/cgi/script"
	"gatehouse/cgi/spool"
	"gatehouse/internal/fault"
	"gatehouse/internal/testkit"
)

func TestMain(m *testing.M) {
	if role := os.Getenv(roleVariable); role != "" {
		os.Exit(play(role))
	}
	testkit.Main(m)
}

// A gateway serves programs over all protocols, in this process.
type gateway struct {
	programs  *script.App
	listeners map[fault.Protocol]net.Addr
	spool     string
	before    int // descriptors
}

// long is how many bytes the program long sends: more than the sockets on the way to a peer
// hold.
const long = 6 << 20

// startGateway starts a gateway, which ends with the test.
func startGateway(t *testing.T, network string, limits cgi.Limits) *gateway {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"echo", "long"} {
		gcc := exec.Command("gcc", "-static", "-O1", fmt.Sprintf("-DLONG=%d", long), "-o", filepath.Join(dir, name), "testdata/program.c")
		if out, err := gcc.CombinedOutput(); err != nil {
			t.Fatalf("gcc: %v\n%s", err, out)
		}
	}
	quiet := slog.New(slog.DiscardHandler)
	g := &gateway{listeners: make(map[fault.Protocol]net.Addr), spool: t.TempDir()}
	limits.Spool = spool.Limits{Memory: 1 << 10, Dir: g.spool}
	g.programs = &script.App{Roots: []string{dir}, Log: quiet,
		Limits: script.Limits{Programs: 8, Queue: 1000, QueueWait: -1, Grace: 10 * time.Millisecond, Spool: limits.Spool}}
	var mux cgi.Mux
	mux.Mount("/", g.programs)
	mux.Mount("/go", cgi.AppFunc(echo))
	s := &gatehouse.Server{App: &mux, Limits: limits, Log: quiet}
	for _, p := range fault.Protocols() {
		l := testkit.Listen(t, network)
		g.listeners[p] = l.Addr()
		s.Endpoints = append(s.Endpoints, gatehouse.Endpoint{Protocol: gatehouse.Protocol(p), Listener: l, HalfClose: true})
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(context.Background()) }()
	t.Cleanup(func() {
		s.Close()
		if err := testkit.Receive(t, "the end of Serve", served); !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
		g.programs.Close()
	})
	for p := range g.listeners {
		g.wantServing(t, p)
	}
	g.settle(t, func() bool {
		before := g.before
		g.before = testkit.Descriptors(t)
		return g.before == before
	})
	return g
}

// echo does what the program of that name does, in this process.
func echo(w cgi.ResponseWriter, r *cgi.Request) error {
	body, err := io.ReadAll(r.Body)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return &cgi.StatusError{Code: 400, Err: err}
	}
	if err != nil {
		return err
	}
	if err := w.StartResponse("200 OK", []cgi.Field{{Name: "Content-Type", Value: "text/plain"}}); err != nil {
		return err
	}
	_, err = w.Write(body)
	return err
}

// programs returns the ids of this process's children, which each thread has its own of.
func programs(t *testing.T) (ids string) {
	lists, err := filepath.Glob("/proc/self/task/*/children")
	if err != nil || len(lists) == 0 {
		t.Fatalf("%d lists of children, %v", len(lists), err)
	}
	for _, name := range lists {
		list, _ := os.ReadFile(name) // the thread may have ended
		ids += string(list)
	}
	return ids
}

// settle waits until no program runs, no request waits, and no spool file is there, and
// settled is true.
func (g *gateway) settle(t *testing.T, settled func() bool) {
	t.Helper()
	var last string
	if !testkit.Poll(func() bool {
		files, err := os.ReadDir(g.spool)
		children := programs(t)
		load := g.programs.Load()
		last = fmt.Sprintf("%+v, %d files, children %q, %d descriptors", load, len(files), children, testkit.Descriptors(t))
		return err == nil && len(files) == 0 && len(children) == 0 && load.Running+load.Waiting == 0 && settled()
	}) {
		t.Errorf("there is something left: %s; want %d descriptors", last, g.before)
	}
}

// wantNothingLeft: neither is there anything left of the requests, nor is anything taken
// from the next one.
func (g *gateway) wantNothingLeft(t *testing.T) {
	t.Helper()
	g.settle(t, func() bool { return testkit.Descriptors(t) == g.before })
	for p := range g.listeners {
		g.wantServing(t, p)
	}
}

// wantServing makes a request, and again while a limit comes too early for it.
func (g *gateway) wantServing(t *testing.T, p fault.Protocol) {
	t.Helper()
	body := []byte("hello")
	message, _ := p.Encode(fault.Request{Path: "/echo", Body: body})
	var r fault.Response
	if !testkit.Poll(func() bool {
		r = g.run(t, p, fault.Stop{Sent: len(message), Way: fault.Stall}, message)
		return r.Outcome == fault.Whole && r.Status == 200
	}) || !bytes.Equal(r.Body, body) {
		t.Errorf("%s: the next request: %v", p, r)
	}
}

// run runs one peer.
func (g *gateway) run(t *testing.T, p fault.Protocol, s fault.Stop, message []byte) fault.Response {
	c, err := net.Dial(g.listeners[p].Network(), g.listeners[p].String())
	if err != nil {
		t.Error(err)
		return fault.Response{}
	}
	c.SetDeadline(time.Now().Add(testkit.Patience))
	if tcp, ok := c.(*net.TCPConn); ok {
		tcp.SetReadBuffer(64 << 10)
	}
	return p.Response(s.Run(c, message))
}

// A trial is a peer that is to stop.
type trial struct {
	protocol fault.Protocol
	stop     fault.Stop
	message  []byte
	check    func(r fault.Response) string // what is wrong, or ""
}

// try tries them all, at most so many at a time, and looks at what is left.
func (g *gateway) try(t *testing.T, trials []trial, atOnce int) {
	t.Helper()
	var all sync.WaitGroup
	places := make(chan struct{}, atOnce)
	for _, x := range trials {
		places <- struct{}{}
		all.Go(func() {
			defer func() { <-places }()
			r := g.run(t, x.protocol, x.stop, x.message)
			if wrong := x.check(r); wrong != "" {
				t.Errorf("%s, %s after %d of %d bytes, and %d of the response: %v; %s",
					x.protocol, x.stop.Way, x.stop.Sent, len(x.message), x.stop.Taken, r, wrong)
			}
		})
	}
	all.Wait()
	g.wantNothingLeft(t)
}

// short are limits that end what stalls, and none are they for what does not.
var short = cgi.Limits{Idle: 300 * time.Millisecond, BodyRead: 300 * time.Millisecond, Write: 300 * time.Millisecond, Linger: 300 * time.Millisecond}

// bothNetworks runs a test with a gateway whose limits are long and one whose are short.
func bothNetworks(t *testing.T, test func(t *testing.T, patient, hasty *gateway)) {
	for _, network := range []string{"unix", "tcp"} {
		t.Run(network, func(t *testing.T) {
			patient := startGateway(t, network, cgi.Limits{})
			hasty := startGateway(t, network, short)
			patient.before = hasty.before // those of both
			test(t, patient, hasty)
		})
	}
}

// TestPeerStopsInItsRequest stops at each byte of a small request, and at some of a large
// one, in every way. No part of a request is taken for a whole one, the peer gets a
// response, a visible truncation or a closed connection, and nothing is left.
func TestPeerStopsInItsRequest(t *testing.T) {
	small := []byte("hello, world")
	large := bytes.Repeat([]byte("0123456789abcdef"), 8<<10)
	bothNetworks(t, func(t *testing.T, patient, hasty *gateway) {
		var at, late []trial
		for _, p := range fault.Protocols() {
			for i, q := range []fault.Request{
				{Path: "/go", Body: small}, {Path: "/go", Body: small, Unannounced: true},
				{Path: "/echo", Body: small}, {Path: "/echo", Body: large}, {Path: "/echo", Body: large, Unannounced: true},
			} {
				if p == fault.SCGI && q.Unannounced {
					continue
				}
				message, needed := p.Encode(q)
				for _, sent := range positions(len(message), i < 2) {
					for _, way := range fault.Ways() {
						x := trial{protocol: p, message: message, stop: fault.Stop{Sent: sent, Way: way}}
						x.check = func(r fault.Response) string { return checkRequest(x, needed, q.Body, r) }
						if way == fault.Stall {
							late = append(late, x)
						} else {
							at = append(at, x)
						}
					}
				}
			}
		}
		t.Logf("%d peers leave, %d stall", len(at), len(late))
		patient.try(t, at, 8)
		hasty.try(t, late, 500)
	})
}

// positions returns all positions in a message, or powers of four and some of the end: programs
// take their time.
func positions(n int, all bool) (list []int) {
	for i := range n + 1 {
		if all || i >= 64 && bits.OnesCount(uint(i)) == 1 && bits.TrailingZeros(uint(i))%2 == 0 || i == n-8 || i >= n-1 {
			list = append(list, i)
		}
	}
	return list
}

// checkRequest checks the response to a part of a request, or to all of it.
func checkRequest(x trial, needed int, body []byte, r fault.Response) string {
	part := x.stop.Sent < needed
	switch {
	case part && r.Status == 200:
		return "that is no whole request"
	case r.Status == 200 && r.Outcome == fault.Whole && !bytes.Equal(r.Body, body):
		return "want the body back"
	case x.stop.Way == fault.HalfClose && !part && x.protocol != fault.HTTP && (r.Status != 200 || r.Outcome != fault.Whole):
		return "want a whole response: the peer has only ended its own side"
	case r.Outcome == fault.Whole && r.Status != 200 && !slices.Contains([]int{400, 408, 502, 503}, r.Status):
		return "want another status"
	}
	return ""
}

// TestPeerStopsInTheResponse stops reading at each byte of a small response, and at some of
// one that is longer than what the sockets hold, in every way.
func TestPeerStopsInTheResponse(t *testing.T) {
	bothNetworks(t, func(t *testing.T, patient, hasty *gateway) {
		var at, late []trial
		var taken sync.WaitGroup
		resume := make(chan struct{})
		wait := func() {
			taken.Done()
			<-resume
		}
		for _, p := range fault.Protocols() {
			message, _ := p.Encode(fault.Request{Path: "/go", Body: []byte("hello")})
			for n := range 200 {
				for _, way := range []fault.Way{fault.Close, fault.Reset} {
					at = append(at, trial{p, fault.Stop{Sent: len(message), Taken: n, Way: way}, message, func(r fault.Response) string {
						if r.Status != 0 && r.Status != 200 || !strings.HasPrefix("hello", string(r.Body)) {
							return "want a part of the response"
						}
						return ""
					}})
				}
			}
			message, _ = p.Encode(fault.Request{Path: "/long"})
			for _, n := range []int{0, 1, 100, 65535, 1 << 20} {
				for _, way := range fault.Ways() {
					if way == fault.HalfClose && n != 100 {
						continue
					}
					x := trial{protocol: p, message: message, stop: fault.Stop{Sent: len(message), Taken: n, Way: way, Wait: wait}}
					x.check = func(r fault.Response) string {
						if way == fault.HalfClose && (r.Outcome != fault.Whole || len(r.Body) != long) && p != fault.HTTP {
							return "want a whole response: the peer has only ended its own side"
						}
						if way == fault.Stall && r.Outcome != fault.Truncated {
							return "want it visibly truncated"
						}
						return ""
					}
					switch {
					case way != fault.Stall:
						at = append(at, x)
					case n > 0: // so that its program has run
						late = append(late, x)
					}
				}
			}
		}
		t.Logf("%d peers leave, %d stall", len(at), len(late))
		patient.try(t, at, 8)
		taken.Add(len(late))
		stalled := make(chan struct{})
		go func() {
			defer close(stalled)
			taken.Wait()
			// Then they are given up.
			testkit.Poll(func() bool { l := hasty.programs.Load(); return l.Running+l.Waiting == 0 })
			close(resume)
		}()
		hasty.try(t, late, len(late))
		<-stalled
	})
}
