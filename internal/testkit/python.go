package testkit

import (
	"bytes"
	"context"
	"os/exec"
	"testing"
)

// Python runs Python with these arguments, as neither the environment nor the files of
// the user change it, and returns what it prints. The test fails if there is no python3,
// if that fails or complains, or if it takes longer than [Patience].
func Python(t testing.TB, input []byte, args ...string) []byte {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), Patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "python3", append([]string{"-I", "-B"}, args...)...)
	var stdout, stderr bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(input), &stdout, &stderr
	if err := cmd.Run(); err != nil || stderr.Len() > 0 {
		t.Fatalf("python3, which this test needs: %v\n%s", err, stderr.Bytes())
	}
	return stdout.Bytes()
}

// Latin1 returns the string of which each character is a byte of s, as JSON carries
// bytes to and from Python.
func Latin1(s string) string {
	r := make([]rune, len(s))
	for i := range len(s) {
		r[i] = rune(s[i])
	}
	return string(r)
}
