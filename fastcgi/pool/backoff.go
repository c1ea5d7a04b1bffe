package pool

import "time"

// The pause after a process that could not be started doubles with every further one.
const firstPause, longestPause = time.Second, 30 * time.Second

// A backoff is a pause that doubles with every failure.
type backoff struct {
	pause time.Duration // the last
	until time.Time     // nothing is tried before
}

func (b *backoff) fail(now time.Time) {
	b.pause = min(max(2*b.pause, firstPause), longestPause)
	b.until = now.Add(b.pause)
}
