//go:build !linux

package relay

// SpliceMin is larger than anything: nothing is moved here without a copy.
const SpliceMin = 1 << 62
