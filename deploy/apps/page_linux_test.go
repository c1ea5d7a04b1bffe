package apps_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gatehouse/internal/testkit"
)

// everyProgram is the section of the page with the configuration for all that has none of its
// own.
const everyProgram = "Debian's cgi-bin"

// recipe returns what a section of the page has for gatehouse.toml, and for nginx.
func recipe(t *testing.T, file, section string) (config, locations string) {
	t.Helper()
	for _, block := range testkit.CodeBlocks(t, file) {
		switch {
		case block.Section != section:
		case strings.Contains(block.Text, "location "):
			locations += block.Text
		case block.Language == "toml":
			config += block.Text
		}
	}
	if config == "" || locations == "" {
		t.Fatalf("the section %q of the page lacks a configuration of gatehouse, or locations of nginx", section)
	}
	return config, locations
}

// TestPage: the page has a line for each application, and for no other, with its packages; and
// each recipe is what its application is driven with.
func TestPage(t *testing.T) {
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	rows := make(map[string]string)
	for _, m := range regexp.MustCompile(`(?m)^\| \*\*([^*]+)\*\*.*$`).FindAllStringSubmatch(string(text), -1) {
		rows[m[1]] = m[0]
	}
	driven := []string{everyProgram}
	for _, a := range applications {
		row, ok := rows[a.name]
		if !ok {
			t.Errorf("the page has no line for %s", a.name)
		}
		delete(rows, a.name)
		for _, name := range strings.Fields(a.packages) {
			if !strings.Contains(row, "`"+name+"`") {
				t.Errorf("the line of %s lacks its package %s", a.name, name)
			}
		}
		if linked := strings.Contains(row, "](#"); linked != a.recipe {
			t.Errorf("the line of %s has a link to a recipe: %v; want %v", a.name, linked, a.recipe)
		}
		if a.recipe {
			recipe(t, page, a.name)
			driven = append(driven, a.name)
		}
	}
	for name := range rows {
		t.Errorf("the page has a line for %s, which is not driven", name)
	}
	for _, block := range testkit.CodeBlocks(t, page) {
		if !slices.Contains(driven, block.Section) {
			t.Errorf("the recipe in the section %q is not driven", block.Section)
		}
	}
}
