package testkit

import (
	"testing"
	"time"
)

// Longer runs a test with a limit, and with longer ones while it reports that the limit
// came too early: the machine may be slow, but not that slow.
func Longer(t *testing.T, limit time.Duration, test func(t *testing.T, limit time.Duration) (early bool)) {
	for again := true; again; limit *= 4 {
		again = false
		t.Run(limit.String(), func(t *testing.T) {
			again = test(t, limit)
			if again && limit > Patience/4 {
				t.Error("the limit has come too early")
				again = false
			}
		})
	}
}
