//go:build unix

package httpcgi

import (
	"os"
	"testing"

	"gatehouse/internal/testkit"
)

const page = "../../docs/net-http-cgi.md"

// TestGoTests runs the tests of net/http/cgi against this package. The page lists those that
// fail, with the reasons.
func TestGoTests(t *testing.T) {
	shim, err := os.ReadFile("testdata/gotests/shim.go")
	if err != nil {
		t.Fatal(err)
	}
	g := &testkit.GoTests{
		Package: "net/http/cgi",
		Files:   []string{"host_test.go", "child_test.go", "integration_test.go", "cgi_main.go"},
		Import:  "gatehouse/cgi/httpcgi",
		Type:    "Handler",
		Edits: []testkit.GoEdit{
			{Old: `"internal/testenv"`},
			{Old: "testenv.MustHaveExec(t)"},
			// TestCopyError looks for the goroutine by the name of the package.
			{Old: `net/http/cgi\.\(\*Handler\)`, New: `gatehouse/cgi/httpcgi\.\(\*Handler\)`},
		},
		Without: []string{"TestRemoveLeadingDuplicates", "TestResponse"},
		Shim:    string(shim),
	}
	g.Check(t, page)
}
