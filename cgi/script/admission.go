package script

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"gatehouse/cgi"
)

var errClosed = errors.New("the application is closed")

// admission lets so many programs run at once, and the rest wait for their turn in
// the order of arrival.
type admission struct {
	mu     sync.Mutex
	free   int
	queue  list.List // of chan struct{}, which is closed to give a place
	limits Limits
}

// enter returns once the caller has a place, which it gives back with leave. A
// client that vanishes leaves the queue.
func (a *admission) enter(ctx context.Context) error {
	a.mu.Lock()
	if a.free > 0 {
		a.free--
		a.mu.Unlock()
		return nil
	}
	if a.queue.Len() >= a.limits.Queue {
		a.mu.Unlock()
		return a.refusal(fmt.Errorf("%d programs run (programs) and %d requests wait (queue)", a.limits.Programs, a.limits.Queue))
	}
	turn := make(chan struct{})
	e := a.queue.PushBack(turn)
	a.mu.Unlock()

	timer := time.NewTimer(a.limits.QueueWait)
	defer timer.Stop()
	var err error
	select {
	case <-turn:
		return nil
	case <-ctx.Done():
		err = context.Cause(ctx)
	case <-timer.C:
		err = a.refusal(fmt.Errorf("no turn within %v (queue_wait), with %d programs running (programs)", a.limits.QueueWait, a.limits.Programs))
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	select {
	case <-turn:
		a.leaveLocked() // the place came too late
	default:
		a.queue.Remove(e)
	}
	return err
}

// leave gives a place to the first in the queue.
func (a *admission) leave() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.leaveLocked()
}

func (a *admission) leaveLocked() {
	if e := a.queue.Front(); e != nil {
		a.queue.Remove(e)
		close(e.Value.(chan struct{}))
		return
	}
	a.free++
}

// refusal is the answer to a client that may come again.
func (a *admission) refusal(err error) error {
	retry := time.Second
	if a.limits.QueueWait < time.Hour {
		retry = max(retry, a.limits.QueueWait)
	}
	return &cgi.StatusError{Code: http.StatusServiceUnavailable, RetryAfter: retry, Err: err}
}
