package gatehouse_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestSecurityNamesTests: the tests that docs/security.md names are in the packages that it
// names.
func TestSecurityNamesTests(t *testing.T) {
	text, err := os.ReadFile("docs/security.md")
	if err != nil {
		t.Fatal(err)
	}
	tests := make(map[string]string) // the text of a folder's tests
	found := regexp.MustCompile("`([a-z/]+)\\.((?:Test|Fuzz)[A-Za-z0-9_]+)`").FindAllStringSubmatch(string(text), -1)
	for _, m := range found {
		folder := strings.TrimPrefix(m[1], "gatehouse")
		if _, read := tests[folder]; !read {
			files, err := filepath.Glob(filepath.Join(".", folder, "*_test.go"))
			if err != nil {
				t.Fatal(err)
			}
			for _, file := range files {
				content, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				tests[folder] += "\n" + string(content)
			}
		}
		if !strings.Contains(tests[folder], "\nfunc "+m[2]+"(") {
			t.Errorf("there is no test %s in %s", m[2], m[1])
		}
	}
	if len(found) < 80 {
		t.Errorf("%d tests are named; want more", len(found))
	}
}
