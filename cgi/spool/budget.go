package spool

import "sync/atomic"

// A Budget bounds what many spools keep together, in memory and in files. It is
// safe for concurrent use.
type Budget struct {
	max  int64
	used atomic.Int64
}

// NewBudget returns a Budget of max bytes: 8 GiB if max is zero, unlimited if it
// is negative.
func NewBudget(max int64) *Budget {
	bound(&max, 8<<30)
	return &Budget{max: max}
}

// Used returns the number of bytes that are taken.
func (b *Budget) Used() int64 { return b.used.Load() }

// reserve reserves n bytes, or none if they are not there.
func (b *Budget) reserve(n int64) bool {
	for {
		used := b.used.Load()
		if n > b.max-used {
			return false
		}
		if b.used.CompareAndSwap(used, used+n) {
			return true
		}
	}
}

func (b *Budget) release(n int64) { b.used.Add(-n) }
