package frontend

import (
	"sync"
	"testing"

	"gatehouse/internal/testkit"
)

// TestCurrent: whoever acquires settings has them until it releases them, and that they are
// no longer needed is said once, after the last one.
func TestCurrent(t *testing.T) {
	type value struct {
		n     int
		ended *bool
	}
	var c Current[value]
	fresh := func(n int) *Settings[value] { return NewSettings(value{n, new(bool)}) }
	if ended := c.Replace(fresh(0)); ended != nil {
		t.Error("the first settings replace others")
	}
	var users sync.WaitGroup
	stop := make(chan struct{})
	for range 4 {
		users.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				s := c.Acquire()
				s.Retain()
				s.Release()
				if *s.T.ended { // which the race detector watches, too
					t.Error("settings have ended while they are in use")
				}
				s.Release()
			}
		})
	}
	for n := range 1000 {
		old := c.Get()
		<-c.Replace(fresh(n + 1))
		*old.ended = true
	}
	close(stop)
	users.Wait()
	held := c.Acquire()
	ended := c.Replace(fresh(-1))
	select {
	case <-ended:
		t.Error("settings that are in use have ended")
	default:
	}
	if c.Get().n != -1 || held.T.n != 1000 {
		t.Errorf("current %d, held %d", c.Get().n, held.T.n)
	}
	held.Release()
	testkit.Receive(t, "the end", ended)
}

// TestAcceptorReconfigure: another number of connections applies to a listener that is served.
func TestAcceptorReconfigure(t *testing.T) {
	a := &Acceptor{Connections: 2}
	own, _ := a.track(testkit.Listen(t, "unix"))
	defer a.stopTick()
	own.Acquire(nil)
	if err := a.Reconfigure(1, Peers{}); err != nil {
		t.Fatal(err)
	}
	acquired := make(chan bool, 1)
	go func() { acquired <- own.Acquire(nil) }()
	testkit.Until(t, "the second connection to wait", own.IsFull)
	if err := a.Reconfigure(2, Peers{}); err != nil {
		t.Fatal(err)
	}
	if !testkit.Receive(t, "a place", acquired) {
		t.Error("no place")
	}
}
