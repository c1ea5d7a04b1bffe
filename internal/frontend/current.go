package frontend

import "sync/atomic"

// A Current holds the settings that new requests are served with. Another one may replace
// them at any time, while the requests that have them keep them to their end. It is safe for
// concurrent use.
type Current[T any] struct{ settings atomic.Pointer[Settings[T]] }

// Settings are the settings of a front-end, with the number of requests that have them.
type Settings[T any] struct {
	T     T            // not changed once it is current
	users atomic.Int64 // and one more for as long as it is current
	ended chan struct{}
}

// NewSettings returns settings for Replace.
func NewSettings[T any](t T) *Settings[T] {
	s := &Settings[T]{T: t, ended: make(chan struct{})}
	s.users.Store(1)
	return s
}

// Get returns what is current, for what belongs to no request.
func (c *Current[T]) Get() *T { return &c.settings.Load().T }

// Acquire returns the settings for a new request, which must call Release at its end.
func (c *Current[T]) Acquire() *Settings[T] {
	for {
		s := c.settings.Load()
		for n := s.users.Load(); n > 0; n = s.users.Load() {
			if s.users.CompareAndSwap(n, n+1) {
				return s
			}
		}
	}
}

// Replace makes other settings current. The channel is closed when the last request that has
// the old ones has ended; it is nil if there were none.
func (c *Current[T]) Replace(s *Settings[T]) (ended <-chan struct{}) {
	old := c.settings.Swap(s)
	if old == nil {
		return nil
	}
	old.Release()
	return old.ended
}

// Take returns what is current, for another Current; this one must not be used any more.
func (c *Current[T]) Take() *Settings[T] { return c.settings.Load() }

// Retain is Acquire for who has the settings already, and must call Release once more.
func (s *Settings[T]) Retain() { s.users.Add(1) }

// Release says that a request has ended.
func (s *Settings[T]) Release() {
	if s.users.Add(-1) == 0 {
		close(s.ended)
	}
}
