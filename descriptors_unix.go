//go:build unix

package gatehouse

import (
	"math"
	"syscall"
)

// descriptorLimit returns how many descriptors this process may have, which the Go runtime has
// raised to the hard limit; 0 if there is no bound.
func descriptorLimit() int {
	var l syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l) != nil || uint64(l.Cur) > math.MaxInt32 {
		return 0
	}
	return int(l.Cur)
}
