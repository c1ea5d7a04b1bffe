package gatehouse_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestContributingNamesFiles: the folders and files that CONTRIBUTING.md names are there.
func TestContributingNamesFiles(t *testing.T) {
	text, err := os.ReadFile("CONTRIBUTING.md")
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile("`(\\.?[a-z]+/[a-zA-Z0-9_*./-]*)`")
	found := named.FindAllStringSubmatch(string(text), -1)
	for _, m := range found {
		files, err := filepath.Glob(strings.ReplaceAll(m[1], "NAME", "*"))
		if err != nil || len(files) == 0 {
			t.Errorf("%q is not there", m[1])
		}
	}
	if len(found) < 40 {
		t.Errorf("%d files and folders are named; want more", len(found))
	}
}
