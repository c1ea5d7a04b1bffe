package pool

import (
	"os"
	"syscall"
	"testing"

	"gatehouse/cgi"
	"gatehouse/cgi/cgitest"
	"gatehouse/internal/testkit"
)

// TestMeasure: the processes, what they are doing, and how they have ended, those included that
// did so before anybody could count them.
func TestMeasure(t *testing.T) {
	a, _ := newApp(t, Limits{Programs: 2, Minimum: 1}, "fastcgi")
	if s := a.Measure(); s.Kind != "fastcgi_exec" || len(s.Processes) != 0 || s.Programs.Limit != 2 || s.Queue.Limit != 1024 {
		t.Errorf("before the first: %+v", s)
	}
	a.Start()
	var first cgi.ProcessState
	idle := func() bool {
		s := a.Measure()
		if len(s.Processes) != 1 || s.Processes[0].State != "idle" {
			return false
		}
		first = s.Processes[0]
		return true
	}
	testkit.Until(t, "a process to be idle", idle)
	if first.PID == 0 || first.Since.IsZero() || first.Memory <= 0 || first.Requests != 0 {
		t.Errorf("%+v", first)
	}
	if err := syscall.Kill(first.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	killed := first.PID
	testkit.Until(t, "another one to be idle", func() bool { return idle() && first.PID != killed })

	var log testkit.Log
	h := &cgi.Handler{Log: log.Logger()}
	var res cgi.Result
	run := func(vars ...string) {
		r := cgitest.NewRequest(cgi.NewEnviron(append(vars, "REQUEST_METHOD=GET")...))
		res = h.Run(r, new(cgitest.Recorder), a)
	}
	run()
	if res.Code != 200 || res.Usage.PID != first.PID || res.Usage.Program == "" {
		t.Errorf("%+v", res)
	}
	testkit.Until(t, "the process to be idle again", idle)
	if first.Requests != 1 {
		t.Errorf("%+v", first)
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	got := h.Stats()[0].Programs
	if got.Signals["killed"] != 1 || got.Count() != 2 || got.PeakMemory <= 0 {
		t.Errorf("ended: %+v", got)
	}
}

// TestMeasureFailure: why no process starts.
func TestMeasureFailure(t *testing.T) {
	a, _ := newApp(t, Limits{}, "late", "POOL_FILE="+os.DevNull+"/none")
	if got := serve(a, ""); got.Head.Code != 503 {
		t.Errorf("status %d", got.Head.Code)
	}
	if s := a.Measure(); s.Failure == "" {
		t.Errorf("%+v", s)
	}
}

// TestWaiting: a request that waits for a process to start says so.
func TestWaiting(t *testing.T) {
	a, _ := newApp(t, Limits{Programs: 1}, "fastcgi")
	h := &cgi.Handler{Log: new(testkit.Log).Logger()}
	res := h.Run(cgitest.NewRequest(cgi.NewEnviron("REQUEST_METHOD=GET")), new(cgitest.Recorder), a)
	if s := h.Stats()[0]; res.Code != 200 || res.Usage.Queued <= 0 || s.Wait.Count() != 1 {
		t.Errorf("%+v, %+v", res, s)
	}
}
