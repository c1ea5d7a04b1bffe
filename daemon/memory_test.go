package daemon

import (
	"testing"

	"gatehouse/internal/testkit"
)

// TestMemoryReturn: memory is returned after much was given up, and once a process that has
// grown is quiet, but not again and again.
func TestMemoryReturn(t *testing.T) {
	const mega = 1 << 20
	type look struct {
		use  memoryUse // in MiB
		want bool
	}
	for name, looks := range map[string][]look{
		"little":              {{memoryUse{1, 20, 1}, false}, {memoryUse{20, 60, 2}, false}, {memoryUse{1, 60, 3}, false}},
		"an attack":           {{memoryUse{1, 20, 1}, false}, {memoryUse{256, 60, 200}, false}, {memoryUse{256, 60, 400}, false}, {memoryUse{1, 60, 600}, true}},
		"a short one":         {{memoryUse{1, 20, 1}, false}, {memoryUse{1, 300, 900}, false}, {memoryUse{1, 300, 901}, true}},
		"a busy process":      {{memoryUse{1, 20, 1}, false}, {memoryUse{1, 300, 900}, false}, {memoryUse{1, 300, 1800}, false}},
		"what is kept":        {{memoryUse{1, 20, 1}, false}, {memoryUse{256, 300, 2}, true}, {memoryUse{256, 300, 3}, false}, {memoryUse{256, 300, 4}, false}},
		"and then given up":   {{memoryUse{1, 20, 1}, false}, {memoryUse{256, 300, 2}, true}, {memoryUse{1, 300, 3}, true}},
		"growth after a fall": {{memoryUse{1, 300, 1}, false}, {memoryUse{1, 20, 2}, false}, {memoryUse{1, 90, 3}, true}},
	} {
		t.Run(name, func(t *testing.T) {
			var m memoryReturn
			for i, l := range looks {
				u := memoryUse{l.use.held * mega, l.use.mapped * mega, l.use.allocated * mega}
				if got := m.look(u, memoryPause); got != l.want {
					t.Fatalf("look %d at %+v: %v", i, l.use, got)
				}
				if l.want {
					m.returned(u)
				}
			}
		})
	}
	m := memoryReturn{most: 100 * mega}
	for range int(memoryPause/memoryInterval) - 1 {
		if m.look(memoryUse{}, memoryInterval) {
			t.Fatal("memory is returned again too soon")
		}
	}
	if !m.look(memoryUse{}, memoryInterval) {
		t.Error("memory is not returned after the pause")
	}
}

// TestReturnMemoryEnds: the goroutine ends with the daemon.
func TestReturnMemoryEnds(t *testing.T) {
	var l Limits
	l.share(nil)
	stop, done := make(chan struct{}), make(chan struct{})
	go func() { l.returnMemory(stop); close(done) }()
	close(stop)
	testkit.Receive(t, "the end of the goroutine", done)
}
