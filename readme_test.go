package gatehouse_test

import (
	"os"
	"strings"
	"testing"
)

// TestReadme compares the examples of the README with the files that the tests of deploy
// run. The comment at the top of each file, which says where to copy it, is not in the
// README.
func TestReadme(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{"deploy/gatehouse.toml", "deploy/nginx/git.conf", "deploy/apache/fastcgi.conf"} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		_, config, found := strings.Cut(string(text), "\n\n")
		if !found || !strings.Contains(string(readme), config) {
			t.Errorf("the README does not hold the configuration of %s", file)
		}
	}
}
