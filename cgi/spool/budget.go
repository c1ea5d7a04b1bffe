package spool

import "sync/atomic"

// A Budget bounds what many spools keep together, in memory and in files. It is
// safe for concurrent use.
type Budget struct {
	max  int64
	used atomic.Int64

	maxFiles, files atomic.Int64 // maxFiles: 0 for no limit
}

// NewBudget returns a Budget of max bytes: 8 GiB if max is zero, unlimited if it
// is negative.
func NewBudget(max int64) *Budget {
	bound(&max, 8<<30)
	return &Budget{max: max}
}

// Used returns the number of bytes that are taken.
func (b *Budget) Used() int64 { return b.used.Load() }

// LimitFiles bounds how many files the spools have at once. Each takes a descriptor of this
// process, and a spool that cannot have one fails with EMFILE.
func (b *Budget) LimitFiles(max int) { b.maxFiles.Store(int64(max)) }

// reserveFile reserves a file. A nil Budget has no limit.
func (b *Budget) reserveFile() bool {
	if b == nil {
		return true
	}
	if n, max := b.files.Add(1), b.maxFiles.Load(); n > max && max > 0 {
		b.files.Add(-1)
		return false
	}
	return true
}

func (b *Budget) releaseFile() {
	if b != nil {
		b.files.Add(-1)
	}
}

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
