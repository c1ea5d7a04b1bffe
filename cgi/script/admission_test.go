//go:build linux

package script

import (
	"strings"
	"testing"
	"time"

	"gatehouse/cgi"
	"gatehouse/cgi/admission"
)

func TestProgramsAreBounded(t *testing.T) {
	for _, c := range []struct {
		limits Limits
		path   string // of a second request, from the same address
		key    string // the limit that it meets, or "" if it runs
	}{
		{Limits{Programs: 1, Queue: -1}, "/waits", "(programs)"},
		{Limits{Programs: 2, Queue: -1, ProgramsPerScript: 1}, "/waits", "(programs_per_script)"},
		{Limits{Programs: 2, Queue: -1, ProgramsPerScript: 1}, "/runs", ""},
		{Limits{Programs: 2, Queue: -1, ProgramsPerAddress: 1}, "/runs", "for 192.0.2.1 (programs_per_address)"},
	} {
		f := newFixture(t)
		f.Limits = c.limits
		fifo := f.fifo(t, "fifo")
		f.sh(t, "waits", head+"echo up\nread x <fifo")
		f.sh(t, "runs", head+"echo runs")
		s := new(recorder)
		up := make(chan struct{}, 10)
		s.onFlush = func(string) { up <- struct{}{} }
		done := make(chan cgi.Result)
		go func() { done <- f.serveTo(request("/waits", "REMOTE_ADDR=192.0.2.1"), s) }()
		<-up
		second, res := f.serve(request(c.path, "REMOTE_ADDR=192.0.2.1"))
		if c.key == "" {
			checkOK(t, second, res, "runs\n")
		} else {
			checkRefused(t, res, 503, f.dir+c.path, c.key)
			if second.Field("Retry-After") == "" {
				t.Error("503 without Retry-After")
			}
			if want := (admission.Load{Running: 1, Refused: 1}); f.Load() != want {
				t.Errorf("%+v; want %+v", f.Load(), want)
			}
		}
		writeFifo(t, fifo)
		checkOK(t, s, <-done, "up\n")
		// What the program had is given back once it has been reaped.
		f.Close()
		if l := f.Load(); l.Running != 0 || l.Waiting != 0 {
			t.Errorf("left over: %+v", l)
		}
	}
}

// TestPlaceIsFreeAfterTheResponse: a client's next request finds the place of its last
// one free.
func TestPlaceIsFreeAfterTheResponse(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.sh(t, "brief", head+"echo done")
	f.Prepare()
	returned := make(chan struct{})
	f.state.testHook = func(stage string) {
		if stage != "leave" {
			return
		}
		select {
		case <-returned:
			t.Error("the response has ended, and the place is taken")
		case <-time.After(exitDelay / 2):
		}
	}
	s, res := f.serve(withBody(request("/brief"), 5, strings.NewReader("hello")))
	close(returned)
	checkOK(t, s, res, "done\n")
	f.Close()
}
