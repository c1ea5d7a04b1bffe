package cgi

import (
	"maps"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// A Tally counts what an application does. It outlives the application: one that takes its
// place counts on. A nil Tally counts nothing. It is safe for concurrent use.
type Tally struct {
	name       string
	authorizer bool
	ledger     *ledger

	ended [protocols]atomic.Pointer[endCounts]

	// The head of most responses is sent with their end, so that both took the same time.
	first, whole, both, wait histogram

	in, out         atomic.Uint64
	panics, aborted atomic.Uint64

	mu               sync.Mutex // guards what follows
	refused, expired map[string]uint64
	programs         ProgramStats
}

// maxNames bounds the names that are counted one by one; others count as "other". No
// client can make up one, so this is not reached.
const maxNames = 100

// How a request has ended, beside a code from 100 to 599.
const (
	codes     = 500
	otherCode = codes + iota
	truncated
	gone
	ends
)

// endCounts are the requests of a protocol that have ended, by how.
type endCounts [ends]atomic.Uint64

// The protocols by which requests come.
const (
	otherProtocol = iota
	fastcgiProtocol
	scgiProtocol
	httpProtocol
	cgiProtocol
	protocols
)

var protocolNames = [protocols]string{"other", "fastcgi", "scgi", "http", "cgi"}

// protocolOf returns the number of a protocol.
func protocolOf(name string) int {
	switch name {
	case "fastcgi":
		return fastcgiProtocol
	case "scgi":
		return scgiProtocol
	case "http":
		return httpProtocol
	case "cgi":
		return cgiProtocol
	}
	return otherProtocol
}

// count adds a request that has ended.
func (t *Tally) count(protocol string, res *Result) {
	end := truncated
	switch {
	case res.End == Aborted:
		end = gone
	case res.End == Complete && res.Code >= 600:
		end = otherCode
	case res.End == Complete && res.Code >= 100:
		end = res.Code - 100
	}
	t.counts(protocolOf(protocol))[end].Add(1)
	if res.FirstByte == res.Duration {
		t.both.add(res.Duration)
	} else {
		t.whole.add(res.Duration)
		if res.FirstByte > 0 {
			t.first.add(res.FirstByte)
		}
	}
	if res.BytesIn > 0 {
		t.in.Add(uint64(res.BytesIn))
	}
	if res.Bytes > 0 {
		t.out.Add(uint64(res.Bytes))
	}
	if res.Usage.Queued > 0 {
		t.wait.add(res.Usage.Queued)
	}
}

// counts returns those of a protocol.
func (t *Tally) counts(protocol int) *endCounts {
	c := t.ended[protocol].Load()
	if c == nil {
		t.ended[protocol].CompareAndSwap(nil, new(endCounts))
		c = t.ended[protocol].Load()
	}
	return c
}

// countFailure adds what has refused or ended a request.
func (t *Tally) countFailure(check string, timeLimit bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if timeLimit {
		t.expired = countName(t.expired, check)
	} else {
		t.refused = countName(t.refused, check)
	}
}

func countName(m map[string]uint64, name string) map[string]uint64 {
	if m == nil {
		m = make(map[string]uint64)
	}
	if _, known := m[name]; !known && len(m) >= maxNames {
		name = "other"
	}
	m[name]++
	return m
}

// A ProgramEnd is how a process has ended, and what it took.
type ProgramEnd struct {
	ExitStatus   int
	Signal       string        // its name, or "" if there is an exit status
	User, System time.Duration // processor time, that of its descendants included
	PeakMemory   int64         // the largest resident set, in bytes
}

// CountProgram adds a process of the application that has ended.
func (t *Tally) CountProgram(e ProgramEnd) {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	p := &t.programs
	if e.Signal != "" {
		p.Signals = countName(p.Signals, e.Signal)
	} else {
		if p.Exits == nil {
			p.Exits = make(map[int]uint64)
		}
		p.Exits[e.ExitStatus]++
	}
	p.User += e.User
	p.System += e.System
	p.PeakMemory = max(p.PeakMemory, e.PeakMemory)
}

// snapshot returns the figures of requests that have ended.
func (t *Tally) snapshot() RequestStats {
	s := RequestStats{Application: t.name, Authorizer: t.authorizer,
		Wait: t.wait.snapshot(), FirstByte: t.first.snapshot(), Duration: t.whole.snapshot(),
		BytesIn: t.in.Load(), BytesOut: t.out.Load(), Panics: t.panics.Load(), Aborted: t.aborted.Load()}
	both := t.both.snapshot()
	s.FirstByte.merge(&both)
	s.Duration.merge(&both)
	for i := range t.ended {
		counts := t.ended[i].Load()
		if counts == nil {
			continue
		}
		for end := range counts {
			if n := counts[end].Load(); n > 0 {
				e := EndCount{Protocol: protocolNames[i], Count: n}
				e.Class, e.Code = classOf(end)
				s.Merge(&RequestStats{Ended: []EndCount{e}})
			}
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	s.Refusals, s.TimeLimits = maps.Clone(t.refused), maps.Clone(t.expired)
	s.Programs = t.programs
	s.Programs.Exits, s.Programs.Signals = maps.Clone(t.programs.Exits), maps.Clone(t.programs.Signals)
	return s
}

// classOf returns the class and the code of how a request has ended.
func classOf(end int) (class string, code int) {
	switch end {
	case otherCode:
		return "other", 0
	case truncated:
		return "truncated", 0
	case gone:
		return "gone", 0
	}
	code = end + 100
	return [...]string{"1xx", "2xx", "3xx", "4xx", "5xx"}[code/100-1], code
}

// isTimeLimit reports whether a StatusError with a Check is about a limit of time.
func isTimeLimit(se *StatusError) bool {
	return se.Code == http.StatusGatewayTimeout || se.Code == http.StatusRequestTimeout
}
