package frontend

import (
	"errors"
	"net"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var d Deadline
		stops := 0
		at := func(wait time.Duration) {
			mu.Lock()
			defer mu.Unlock()
			d.Set(&mu, time.Now().Add(wait), func() { stops++ })
		}
		check := func(what string, passed bool, n int) {
			t.Helper()
			mu.Lock()
			defer mu.Unlock()
			if d.Passed() != passed || stops != n {
				t.Errorf("%s: passed %v, stopped %d times; want %v, %d", what, d.Passed(), stops, passed, n)
			}
		}
		check("zero value", false, 0)
		if d.IsSet() {
			t.Error("the zero value is set")
		}
		at(0)
		check("now", true, 1)
		at(time.Second)
		check("set anew", false, 1)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		check("after a second", true, 2)
		at(time.Second)
		at(time.Hour) // the first is out of date
		time.Sleep(2 * time.Second)
		synctest.Wait()
		check("put off", false, 2)
		mu.Lock()
		d.Set(&mu, time.Time{}, nil)
		mu.Unlock()
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		check("taken away", false, 2)
		at(time.Second)
		mu.Lock()
		if !d.Stop() || d.Stop() {
			t.Error("Stop does not tell whether it could have passed")
		}
		mu.Unlock()
		time.Sleep(2 * time.Second)
		synctest.Wait()
		check("stopped", false, 2)
		if !d.IsSet() {
			t.Error("it has not been set")
		}
	})
}

func TestLateErrors(t *testing.T) {
	for _, err := range []error{ErrReadLate, ErrWriteLate} {
		var ne net.Error
		if !errors.Is(err, os.ErrDeadlineExceeded) || !errors.As(err, &ne) || !ne.Timeout() {
			t.Errorf("%v is no timeout", err)
		}
	}
}
