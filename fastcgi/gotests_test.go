package fastcgi

import (
	"os"
	"testing"

	"gatehouse/internal/testkit"
)

// TestGoTests runs the tests of net/http/fcgi against this package. docs/net-http-fcgi.md
// lists those that fail, with the reasons.
func TestGoTests(t *testing.T) {
	shim, err := os.ReadFile("testdata/gotests/shim.go")
	if err != nil {
		t.Fatal(err)
	}
	g := &testkit.GoTests{
		Package: "net/http/fcgi",
		Files:   []string{"fcgi_test.go"},
		Import:  "gatehouse/fastcgi",
		Type:    "Server",
		Edits: []testkit.GoEdit{
			// What counts is what was sent.
			{Old: "var resp *response"},
			{Old: "resp = w.(*response)"},
			{Old: "nopWriteCloser{bytes", New: "&recorder{Reader: bytes"},
			{Old: "resp.Header().Get(", New: "rc.field("},
		},
		Without: []string{"sizeTests", "TestSize", "streamTests", "TestStreams", "TestGetValues"},
		Shim:    string(shim),
	}
	g.Check(t, "../docs/net-http-fcgi.md")
}
