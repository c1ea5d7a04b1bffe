package sources

import (
	"fmt"
	"path/filepath"
	"testing"
)

// BenchmarkChanged looks at a thousand files in a hundred directories.
func BenchmarkChanged(b *testing.B) {
	dir := b.TempDir()
	for i := range 1000 {
		write(b, filepath.Join(dir, fmt.Sprint(i/10), fmt.Sprintf("%d.py", i)), "")
	}
	tree := Look(".py", dir)
	for b.Loop() {
		if got := tree.Changed(); got != nil {
			b.Fatal(got)
		}
	}
}
