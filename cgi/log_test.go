package cgi

import (
	"bytes"
	"strings"
	"sync"
	"testing"
	"time"
)

// A lockedBuffer is a log that is read while it is written.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// patience bounds what a test waits for. No test that passes depends on it.
const patience = time.Minute

// waitFor waits until the log has the text.
func waitFor(t *testing.T, log *lockedBuffer, text string) {
	t.Helper()
	for end := time.Now().Add(patience); !strings.Contains(log.String(), text); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("the log does not have %q: %s", text, log)
		}
	}
}
