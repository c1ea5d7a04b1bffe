// Package apps_test installs applications of Debian, each in a Debian of its own, drives them
// through nginx, and compares what the gateway makes of them with what fcgiwrap does. Each
// application has a file here and a line in docs/programs.md, whose recipes are the
// configuration that it is driven with.
//
// The tests run in "make apps", which names a directory for these Debians in GATEHOUSE_APPS.
// They need root and mmdebstrap, a mirror of Debian, and half a minute for each application
// that is not in that directory yet.
package apps_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"gatehouse/internal/testkit"
)

// rootsVariable names the directory that holds the roots of the applications.
const rootsVariable = "GATEHOUSE_APPS"

// page is the administrator's page about the applications.
const page = "../../docs/programs.md"

// workspace is the directory of this run that every application sees. It holds the command, and
// the page.
var workspace string

func TestMain(m *testing.M) {
	if wayIn() != "" {
		if err := enter(); err != nil {
			fmt.Fprintln(os.Stderr, "applications:", err)
			os.Exit(1)
		}
		testkit.Main(m)
	}
	if os.Getenv(rootsVariable) == "" {
		testkit.Main(m)
	}
	code, err := runAll(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "applications:", err)
		code = 1
	}
	os.Exit(code)
}

// runAll fills the workspace, and runs the tests.
func runAll(m *testing.M) (int, error) {
	dir, err := os.MkdirTemp("", "gatehouse-apps-")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o755); err != nil {
		return 0, err
	}
	cmd := exec.Command("go", "build", "-o", dir, "gatehouse/daemon/gatehouse")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return 0, fmt.Errorf("go build: %w\n%s", err, out)
	}
	text, err := os.ReadFile(page)
	if err != nil {
		return 0, err
	}
	if err := os.WriteFile(filepath.Join(dir, filepath.Base(page)), text, 0o644); err != nil {
		return 0, err
	}
	workspace = dir
	return m.Run(), nil
}
