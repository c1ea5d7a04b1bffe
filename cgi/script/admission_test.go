//go:build linux

package script

import (
	"context"
	"errors"
	"path/filepath"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/cgi"
)

func newAdmission(l Limits) *admission {
	a := &admission{limits: l.withDefaults()}
	a.free = a.limits.Programs
	return a
}

func TestAdmissionIsInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAdmission(Limits{Programs: 1})
		if err := a.enter(background); err != nil {
			t.Fatal(err)
		}
		order := make(chan int, 5)
		for i := range cap(order) {
			go func() {
				if err := a.enter(background); err != nil {
					t.Error(err)
				}
				order <- i
				a.leave()
			}()
			synctest.Wait()
		}
		a.leave()
		for i := range cap(order) {
			if got := <-order; got != i {
				t.Errorf("place %d went to %d", i, got)
			}
		}
		synctest.Wait()
		if a.free != 1 || a.queue.Len() != 0 {
			t.Errorf("%d free, %d wait", a.free, a.queue.Len())
		}
	})
}

func TestAdmissionRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAdmission(Limits{Programs: 1, Queue: 1})
		a.enter(background)
		waits := make(chan error, 1)
		start := time.Now()
		go func() { waits <- a.enter(background) }()
		synctest.Wait()
		var se *cgi.StatusError
		if err := a.enter(background); !errors.As(err, &se) || se.Code != 503 || se.RetryAfter != 10*time.Second {
			t.Errorf("beyond the queue: %v; want 503 with Retry-After", err)
		}
		err := <-waits
		if !errors.As(err, &se) || se.Code != 503 || time.Since(start) != 10*time.Second {
			t.Errorf("after %v: %v; want 503 after 10s", time.Since(start), err)
		}
		// A client that vanishes leaves the queue.
		ctx, cancel := context.WithCancelCause(background)
		go func() { waits <- a.enter(ctx) }()
		synctest.Wait()
		cancel(cgi.ErrAborted)
		if err := <-waits; !errors.Is(err, cgi.ErrAborted) || a.queue.Len() != 0 {
			t.Errorf("%v with %d in the queue; want aborted, none", err, a.queue.Len())
		}
		a.leave()
		if a.free != 1 {
			t.Errorf("%d free; want 1", a.free)
		}
	})
}

func TestNoQueue(t *testing.T) {
	a := newAdmission(Limits{Programs: 1, Queue: -1})
	a.enter(background)
	if err := a.enter(background); err == nil {
		t.Error("a request waits without a queue")
	}
}

func TestProgramsAreBounded(t *testing.T) {
	f := newFixture(t)
	f.Limits = Limits{Programs: 1, Queue: -1}
	fifo := filepath.Join(f.dir, "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	f.sh(t, "waits", head+"echo up\nread x <fifo")
	s := new(recorder)
	up := make(chan struct{}, 10)
	s.onFlush = func(string) { up <- struct{}{} }
	done := make(chan cgi.Result)
	go func() { done <- f.serveTo(request("/waits"), s) }()
	<-up
	second, res := f.serve(request("/waits"))
	checkRefused(t, res, 503, f.dir+"/waits", "(programs)")
	if second.field("Retry-After") == "" {
		t.Error("503 without Retry-After")
	}
	writeFifo(t, fifo)
	checkOK(t, s, <-done, "up\n")
}
