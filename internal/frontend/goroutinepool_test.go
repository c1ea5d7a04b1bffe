package frontend

import (
	"sync"
	"testing"
	"testing/synctest"
)

// TestCrew: a goroutine that has nothing to do takes the next function, until it is
// let go.
func TestCrew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c goroutinePool
		ran := 0
		for range 100 {
			c.run(func() { ran++ })
			synctest.Wait()
		}
		if ran != 100 || len(c.idle) != 1 {
			t.Errorf("%d functions ran, %d goroutines wait; want 100 and 1", ran, len(c.idle))
		}
		c.releaseIdle()
		c.all.Wait()
		c.run(func() { ran++ })
		c.close()
		if ran != 101 {
			t.Error("a function was lost")
		}
	})
}

// TestCrewIsBounded: no more than so many wait, and each function has a goroutine at
// once, whatever the others do.
func TestCrewIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c goroutinePool
		var started, all sync.WaitGroup
		release := make(chan struct{})
		const n = 3 * maxIdleGoroutines
		started.Add(n)
		all.Add(n)
		for range n {
			c.run(func() {
				started.Done()
				<-release
				all.Done()
			})
		}
		started.Wait()
		close(release)
		all.Wait()
		synctest.Wait()
		if len(c.idle) != maxIdleGoroutines {
			t.Errorf("%d goroutines wait, want %d", len(c.idle), maxIdleGoroutines)
		}
		c.close()
		c.run(func() {})
		c.all.Wait()
	})
}

// TestCrewLosesNothing: functions that come while goroutines are about to go.
func TestCrewLosesNothing(t *testing.T) {
	var c goroutinePool
	var all, senders sync.WaitGroup
	stop := make(chan struct{})
	var resting sync.WaitGroup
	resting.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				c.releaseIdle()
			}
		}
	})
	all.Add(20_000)
	for range 4 {
		senders.Go(func() {
			for range 5_000 {
				c.run(all.Done)
			}
		})
	}
	senders.Wait()
	all.Wait()
	close(stop)
	resting.Wait()
	c.close()
}
