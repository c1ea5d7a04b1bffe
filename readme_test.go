package gatehouse_test

import (
	"os"
	"strings"
	"testing"

	"gatehouse/internal/testkit"
)

// TestReadme holds that the configurations in the README are in the files that the tests of
// deploy run. Its blocks for nginx are run as they are, and so are its commands.
func TestReadme(t *testing.T) {
	files := map[string]string{"toml": "deploy/packaging/gatehouse.toml", "apache": "deploy/apache/fastcgi.conf"}
	for _, b := range testkit.CodeBlocks(t, "README.md") {
		file, ok := files[b.Language]
		if !ok {
			continue
		}
		delete(files, b.Language)
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(b.Text) {
			if !strings.Contains("\n"+string(text), "\n"+line) {
				t.Errorf("the README has a line that %s has not: %s", file, line)
			}
		}
	}
	if len(files) > 0 {
		t.Errorf("the README has no block for %v", files)
	}
}
