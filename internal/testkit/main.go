// Package testkit has what the tests of several packages stand on. It imports nothing
// else of this module, so that the tests of every package can import it; a [cgi.Sink]
// for tests is in cgi/cgitest.
//
// [cgi.Sink]: https://pkg.go.dev/gatehouse/cgi#Sink
package testkit

import (
	"testing"

	"go.uber.org/goleak"
)

// Main runs the tests of a package, fails if they leave a goroutine behind, and exits.
// It is for TestMain, which calls it last.
func Main(m *testing.M) { goleak.VerifyTestMain(m) }
