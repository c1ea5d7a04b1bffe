package daemon

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestForwardingPage: every configuration of docs/forwarding.md is one that gatehouse check
// accepts.
func TestForwardingPage(t *testing.T) {
	page, err := os.ReadFile("../docs/forwarding.md")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, name := range []string{"current/public", "public"} {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	here := strings.NewReplacer("/srv/www", dir, "/run/gatehouse", dir, "/usr/lib/cgi-bin", dir)
	_, rest, found := strings.Cut(string(page), "\n```toml\n")
	n := 0
	for ; found; n++ {
		text, behind, _ := strings.Cut(rest, "```\n")
		_, rest, found = strings.Cut(behind, "\n```toml\n")
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			c, err := ParseConfig("forwarding.toml", []byte(here.Replace(text)))
			if err == nil {
				err = c.Check()
			}
			if err != nil {
				t.Errorf("%v\n%s", err, text)
			}
		})
	}
	if n < 8 {
		t.Errorf("%d configurations in the page", n)
	}
}
