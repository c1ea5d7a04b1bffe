package daemon

import (
	"fmt"
	"path"

	"gatehouse/cgi"
)

// answers takes the keys about what programs answer, and what they get of the query,
// and returns those that are given.
func (t *table) answers(a *App) (given []string) {
	for _, key := range []string{"local_redirect", "nph", "search_args"} {
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
	t.list("nph", func(s string) error {
		if _, err := path.Match(s, ""); err != nil || s == "" {
			return fmt.Errorf(`%q is not a pattern for names, such as "*.nph"`, s)
		}
		a.NPH = append(a.NPH, s)
		return nil
	})
	t.boolean("search_args", func(on bool) { a.SearchArgs = on })
	return given
}
