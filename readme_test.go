package gatehouse_test

import (
	"os"
	"strings"
	"testing"
)

// TestReadme holds the examples of the README to the files that the tests of
// deploy run.
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
		if !strings.Contains(string(readme), string(text)) {
			t.Errorf("the README does not hold the text of %s", file)
		}
	}
}
