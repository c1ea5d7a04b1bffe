package admin

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"gatehouse"
	"gatehouse/cgi"
)

func result(code int, took time.Duration, end time.Time) (*cgi.Request, cgi.Result) {
	env := new(cgi.Environ)
	env.Add("REQUEST_METHOD", "GET")
	env.Add("REQUEST_URI", "/x")
	r := &cgi.Request{Env: env, ID: 7}
	res := cgi.Result{Code: code, Start: end.Add(-took), Duration: took}
	if code >= 500 {
		res.Err = errors.New("broken")
	}
	return r, res
}

// TestHistory: it keeps the last failures and the slowest requests, and forgets those that
// are old.
func TestHistory(t *testing.T) {
	var h History
	now := time.Unix(10000, 0)
	for i := range 100 {
		h.Add(result(200, time.Duration(i)*time.Second, now))
		h.Add(result(502, time.Millisecond, now.Add(time.Duration(i))))
	}
	var s Status
	h.addTo(&s)
	if len(s.Failures) != maxFailures || !s.Failures[0].Time.Equal(now.Add(99)) || s.Failures[0].Error != "broken" || s.Failures[0].Target != "/x" {
		t.Errorf("%d failures, the first %+v", len(s.Failures), s.Failures[0])
	}
	if len(s.Slow) != maxSlow || s.Slow[0].Duration != 99 || s.Slow[maxSlow-1].Duration != 80 {
		t.Errorf("%d slow ones, %+v", len(s.Slow), s.Slow)
	}
	if n := testing.AllocsPerRun(100, func() { h.Add(result(200, time.Second, now)) }); n > testing.AllocsPerRun(100, func() { result(200, time.Second, now) }) {
		t.Errorf("a request that is neither allocates")
	}
	h.sample(&Stats{Stats: gatehouse.Stats{Time: now.Add(slowFor + time.Second)}})
	h.Add(result(200, time.Second, now.Add(slowFor+time.Second)))
	s = Status{}
	if h.addTo(&s); len(s.Slow) != 1 || s.Slow[0].Duration != 1 {
		t.Errorf("after ten minutes: %+v", s.Slow)
	}
}

// TestRates: what happened between two samples.
func TestRates(t *testing.T) {
	var h History
	ended := func(n uint64) []cgi.EndCount {
		return []cgi.EndCount{{Class: "2xx", Count: 10 * n}, {Class: "5xx", Count: n}}
	}
	for i := range maxRates + 10 {
		s := Stats{Stats: gatehouse.Stats{Time: time.Unix(int64(5*i), 0)}}
		s.Requests = cgi.RequestStats{Ended: ended(uint64(i)), InFlight: i}
		h.sample(&s)
	}
	var s Status
	h.addTo(&s)
	last := s.Rates[len(s.Rates)-1]
	if len(s.Rates) != maxRates || last.Requests != 11 || last.Failures != 1 || last.Seconds != 5 || last.InFlight != maxRates+9 {
		t.Errorf("%d rates, the last %+v", len(s.Rates), last)
	}
}

// TestAssess: what is said of a gateway, and how bad it is.
func TestAssess(t *testing.T) {
	now := time.Unix(1000, 0)
	for name, tt := range map[string]struct {
		change func(s *Status)
		want   Level
	}{
		"well":         {func(s *Status) {}, OK},
		"draining":     {func(s *Status) { s.Ready = false }, Critical},
		"no process":   {func(s *Status) { s.Applications[0].Failure = "exit status 1" }, Critical},
		"one address":  {func(s *Status) { s.Applications[0].Addresses = addresses(now, true, false) }, Warning},
		"all of them":  {func(s *Status) { s.Applications[0].Addresses = addresses(now, true, true) }, Critical},
		"queue":        {func(s *Status) { s.Applications[0].Queue = &Use{Used: 5, Limit: 10} }, Warning},
		"short queue":  {func(s *Status) { s.Applications[0].Queue = &Use{Used: 4, Limit: 10} }, OK},
		"descriptors":  {func(s *Status) { s.Process.Descriptors = Use{Used: 9, Limit: 10} }, Warning},
		"no limit":     {func(s *Status) { s.Process.Memory = Use{Used: 9} }, OK},
		"reload":       {func(s *Status) { s.Reloads.Failure = "x" }, Warning},
		"failures":     {func(s *Status) { s.Rates = []Rate{{Time: now, Requests: 20, Failures: 1}} }, Warning},
		"few failures": {func(s *Status) { s.Rates = []Rate{{Time: now, Requests: 21, Failures: 1}} }, OK},
		"old failures": {func(s *Status) { s.Rates = []Rate{{Time: now.Add(-time.Hour), Requests: 1, Failures: 1}} }, OK},
	} {
		s := &Status{Time: now, Ready: true, Applications: []Application{{Name: "/"}}}
		tt.change(s)
		if got, reasons := s.Assess(); got != tt.want || (got == OK) != (len(reasons) == 0) {
			t.Errorf("%s: %v %q, want %v", name, got, reasons, tt.want)
		}
	}
}

func addresses(now time.Time, avoided ...bool) (list []Address) {
	for i, x := range avoided {
		a := Address{Address: fmt.Sprint("unix:/", i)}
		if x {
			a.Failures, a.Avoided = 3, now.Add(time.Second)
		}
		list = append(list, a)
	}
	return list
}
