package daemon

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gatehouse/cgi"
	"gatehouse/cgi/script"
)

func TestResponseKeys(t *testing.T) {
	dir := t.TempDir()
	parse := func(text string) (*Config, error) {
		return ParseConfig("g.toml", []byte(strings.ReplaceAll(text, "DIR", dir)))
	}
	c, err := parse("[[app]]\nscripts = \"DIR\"\nlocal_redirect = \"internal\"\nnph = [\"*.nph\", \"status\"]\nsearch_args = true\n" +
		"[[app]]\nprefix = \"/x\"\nscripts = \"DIR\"\nnph = \"zms\"\nonly = [\"*.cgi\"]\n")
	if err != nil {
		t.Fatal(err)
	}
	want := []App{
		{Prefix: "/", Source: "g.toml:1:3", Kind: Scripts(&script.App{Roots: []string{dir}, LocalRedirect: cgi.RedirectInternal, NPH: []string{"*.nph", "status"}, SearchArgs: true})},
		{Prefix: "/x", Source: "g.toml:7:1", Kind: Scripts(&script.App{Roots: []string{dir}, NPH: []string{"zms"}, Only: []string{"*.cgi"}})},
	}
	if d := cmp.Diff(want, c.Apps, appOptions); d != "" {
		t.Errorf("-want +got\n%s", d)
	}
	for text, want := range map[string]string{
		"scripts = \"DIR\"\nlocal_redirect = \"server\"": `g.toml:3:1: local_redirect: "server" is not one of auto, client and internal`,
		"scripts = \"DIR\"\nnph = \"[a\"":                `g.toml:3:1: nph: "[a" is not a pattern for names, such as "*.nph"`,
		"scripts = \"DIR\"\nnph = \"\"":                  `g.toml:3:1: nph: "" is not a pattern for names, such as "*.nph"`,
		"scripts = \"DIR\"\nonly = \"[a\"":               `g.toml:3:1: only: "[a" is not a pattern for names, such as "*.cgi"`,
		"scripts = \"DIR\"\nsearch_args = 1":             `g.toml:3:1: search_args: 1 is not true or false`,
		"hello = true\nlocal_redirect = \"client\"":      `g.toml:1:3: application "/" runs no CGI programs: local_redirect goes with scripts, fastcgi, fastcgi-exec and scgi`,
		"files = \"DIR\"\nsearch_args = false":           `g.toml:1:3: application "/" runs no CGI programs: search_args goes with scripts`,
	} {
		_, err := parse("[[app]]\n" + text + "\n")
		checkError(t, err, want)
	}
}
