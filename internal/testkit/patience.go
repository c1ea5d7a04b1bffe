package testkit

import (
	"testing"
	"time"
)

// Patience is how long a test waits for what must happen. It bounds a test that fails;
// none that passes depends on it.
const Patience = time.Minute

// Receive receives a value from ch, or finds it closed. It fails the test, which names
// what is waited for, if that takes longer than Patience.
func Receive[T any](t testing.TB, what string, ch <-chan T) T {
	t.Helper()
	late := time.NewTimer(Patience)
	defer late.Stop()
	select {
	case v := <-ch:
		return v
	case <-late.C:
	}
	t.Fatalf("%s: nothing happened for %v", what, Patience)
	panic("unreachable")
}

// Until waits until done returns true. It fails the test, which names what is waited
// for, if that takes longer than Patience.
func Until(t testing.TB, what string, done func() bool) {
	t.Helper()
	if !Poll(done) {
		t.Fatalf("%s: not true after %v", what, Patience)
	}
}

// Poll calls done until it returns true, or for as long as Patience, and reports
// whether it did. For what a test can only ask for: where something can be waited for,
// wait for that.
func Poll(done func() bool) bool {
	end := time.Now().Add(Patience)
	for pause := time.Millisecond; !done(); pause = min(2*pause, 10*time.Millisecond) {
		if time.Now().After(end) {
			return false
		}
		time.Sleep(pause)
	}
	return true
}
