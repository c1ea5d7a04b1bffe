package cgi

import (
	"os"
	"testing"

	"gatehouse/internal/testkit"
)

// childVariable makes the test binary be a CGI program instead; its value names
// the one of childPrograms.
const childVariable = "CGI_TEST_PROGRAM"

func TestMain(m *testing.M) {
	if name := os.Getenv(childVariable); name != "" {
		os.Exit(childPrograms[name]())
	}
	testkit.Main(m)
}
