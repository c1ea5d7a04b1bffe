package python

import (
	"os"
	"testing"

	"gatehouse/internal/testkit"
)

func TestMain(m *testing.M) {
	os.Setenv("PYTHONDONTWRITEBYTECODE", "1") // in testdata
	testkit.Main(m)
}
