package httpcgi

import (
	"os"
	"testing"

	"gatehouse/internal/testkit"
)

func TestMain(m *testing.M) {
	if name := os.Getenv("HTTPCGI_TEST_CHILD"); name != "" {
		os.Exit(serveChild(name))
	}
	testkit.Main(m)
}
