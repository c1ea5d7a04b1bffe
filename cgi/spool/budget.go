package spool

import "sync/atomic"

// DefaultMemoryTotal is the usual bound on what many hold together in memory.
const DefaultMemoryTotal = 256 << 20

// A Budget bounds the bytes that many hold together: spools, or the requests of all
// connections. It is safe for concurrent use. A nil Budget is unlimited.
type Budget struct {
	max, used atomic.Int64
	refused   atomic.Uint64

	maxFiles, files atomic.Int64 // maxFiles: 0 for no limit
	refusedFiles    atomic.Uint64
}

// NewBudget returns a Budget of max bytes: 8 GiB if max is zero, unlimited if it
// is negative.
func NewBudget(max int64) *Budget {
	b := new(Budget)
	b.Resize(max)
	return b
}

// Resize sets another maximum, in the form of NewBudget. What is taken beyond it stays so
// until it is given back.
func (b *Budget) Resize(max int64) {
	bound(&max, 8<<30)
	b.max.Store(max)
}

// Max returns the number of bytes that can be taken at once.
func (b *Budget) Max() int64 { return b.max.Load() }

// Used returns the number of bytes that are taken.
func (b *Budget) Used() int64 { return b.used.Load() }

// Refused returns how often bytes were not there that somebody wanted to take.
func (b *Budget) Refused() uint64 { return b.refused.Load() }

// Files returns how many files the spools have, how many they may have (0: no limit), and how
// often one was refused.
func (b *Budget) Files() (used, max int64, refused uint64) {
	return b.files.Load(), b.maxFiles.Load(), b.refusedFiles.Load()
}

// LimitFiles bounds how many files the spools have at once. Each takes a descriptor of this
// process, and a spool that cannot have one fails with EMFILE.
func (b *Budget) LimitFiles(max int) { b.maxFiles.Store(int64(max)) }

// ReserveFiles takes n files of those that LimitFiles allows, or none, and reports false, if they
// are not there: for what takes descriptors beside the spools. A nil Budget has no limit.
func (b *Budget) ReserveFiles(n int) bool {
	if b == nil {
		return true
	}
	if files, max := b.files.Add(int64(n)), b.maxFiles.Load(); files > max && max > 0 {
		b.files.Add(-int64(n))
		b.refusedFiles.Add(1)
		return false
	}
	return true
}

// ReleaseFiles gives back n files that ReserveFiles took.
func (b *Budget) ReleaseFiles(n int) {
	if b != nil {
		b.files.Add(-int64(n))
	}
}

// Scarce reports whether more than three quarters are taken.
func (b *Budget) Scarce() bool {
	if b == nil {
		return false
	}
	max := b.max.Load()
	return b.used.Load() > max-max/4
}

// Reserve takes n bytes, or none, and reports false, if they are not there.
func (b *Budget) Reserve(n int64) bool {
	if b == nil {
		return true
	}
	for {
		used := b.used.Load()
		if n > b.max.Load()-used {
			b.refused.Add(1)
			return false
		}
		if b.used.CompareAndSwap(used, used+n) {
			return true
		}
	}
}

// Release gives back n bytes that Reserve took.
func (b *Budget) Release(n int64) {
	if b != nil {
		b.used.Add(-n)
	}
}
