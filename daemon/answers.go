package daemon

import (
	"fmt"
	"path"

	"gatehouse/cgi"
)

// answers takes the keys about which programs answer, what they answer, and what they get
// of the query, and returns those that are given.
func (t *table) answers(a *App) (given []string) {
	for _, key := range []string{"local_redirect", "nph", "only", "search_args"} {
		if _, ok := t.values[key]; ok {
			given = append(given, key)
		}
	}
	t.str("local_redirect", func(s string) error {
		p, ok := cgi.ParseRedirectPolicy(s)
		if !ok {
			return fmt.Errorf("%q is not one of auto, client and internal", s)
		}
		a.LocalRedirect = p
		return nil
	})
	t.list("nph", patterns(&a.NPH, "*.nph"))
	t.list("only", patterns(&a.Only, "*.cgi"))
	t.boolean("search_args", func(on bool) { a.SearchArgs = on })
	return given
}

// patterns returns a function that adds a pattern to a list.
func patterns(list *[]string, example string) func(string) error {
	return func(s string) error {
		if _, err := path.Match(s, ""); err != nil || s == "" {
			return fmt.Errorf("%q is not a pattern for names, such as %q", s, example)
		}
		*list = append(*list, s)
		return nil
	}
}
