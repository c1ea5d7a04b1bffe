package cgi

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

// childVariable makes the test binary be a CGI program instead; its value names
// the one of childPrograms.
const childVariable = "CGI_TEST_PROGRAM"

func TestMain(m *testing.M) {
	if name := os.Getenv(childVariable); name != "" {
		os.Exit(childPrograms[name]())
	}
	goleak.VerifyTestMain(m)
}
