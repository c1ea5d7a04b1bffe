package python

import (
	"os/exec"
	"regexp"
	"testing"
)

// TestOldPython: a Python that is too old, whose version no name tells, says so in one line.
func TestOldPython(t *testing.T) {
	cmd := exec.Command("python3", "-c", "import sys; sys.version_info = (3, 7, 16); exec(compile(sys.argv[1], 'gatehouse-worker.py', 'exec'))", worker)
	out, err := cmd.CombinedOutput()
	const want = `^gatehouse: \S*python\S* is Python 3\.7, and workers need Python 3\.8 or newer: install one, and write its path as python\n$`
	if !regexp.MustCompile(want).Match(out) || cmd.ProcessState.ExitCode() != 1 {
		t.Errorf("%v, it wrote\n%s", err, out)
	}
}
