package gatehouse_test

import (
	"os"
	"slices"
	"strings"
	"testing"

	"gatehouse/internal/testkit"
)

// TestReadmeBegins: the package comes first, and the smallest configuration with it: three lines,
// and five of nginx.
func TestReadmeBegins(t *testing.T) {
	const first = "Install it, with nginx"
	blocks := testkit.CodeBlocks(t, "README.md")
	if len(blocks) == 0 || blocks[0].Section != first || !strings.HasPrefix(blocks[0].Text, "make deb\n") {
		t.Fatalf("the README begins with %q", blocks[:min(1, len(blocks))])
	}
	for language, lines := range map[string]int{"toml": 3, "nginx": 5} {
		i := slices.IndexFunc(blocks, func(b testkit.CodeBlock) bool { return b.Language == language })
		if i < 0 || blocks[i].Section != first || strings.Count(blocks[i].Text, "\n") != lines {
			t.Errorf("the first block of %s has not %d lines in section %s", language, lines, first)
		}
	}
}

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
