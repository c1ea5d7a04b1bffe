//go:build linux

package script

import (
	"os"
	"strings"
	"syscall"
	"testing"
)

// TestMessagesAreDocumented: the administrator's page has a row for each message.
func TestMessagesAreDocumented(t *testing.T) {
	text, err := os.ReadFile("../../docs/cgi.md")
	if err != nil {
		t.Fatal(err)
	}
	_, page, found := strings.Cut(string(text), "\n## Troubleshooting by message\n")
	if !found {
		t.Fatal("no section about messages")
	}
	page, _, _ = strings.Cut(page, "\n## ")
	var messages []string
	for _, err := range []error{errMissing, errDirectory, errIrregular, errMode, errOutside, errDotDot, errNoName, errAllowed, syscall.ELOOP} {
		messages = append(messages, lookupFinding("/nonexistent", err).Detail)
	}
	for _, err := range []error{syscall.E2BIG, syscall.ETXTBSY, syscall.ENOEXEC} {
		messages = append(messages, systemFinding("/bin/sh", "/", err).Detail)
	}
	messages = append(messages,
		systemFinding("/bin/sh", "/nonexistent", syscall.ENOENT).Detail,
		filterFinding().Detail[:len("a CGI program cannot be a filter")],
		inspectInterpreter("/x", "/bin/sh\r").Detail,
		inspectInterpreter("/x", "").Detail)
	for _, m := range messages {
		if !strings.Contains(page, "| "+m) && !strings.Contains(page, "; "+m) {
			t.Errorf("docs/cgi.md has no row for %q", m)
		}
	}
}
