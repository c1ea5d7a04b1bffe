package script

import (
	"path"
	"path/filepath"
	"strings"
)

// nphPrefix begins the names of programs that send a whole HTTP response.
const nphPrefix = "nph-"

// sendsHTTP reports whether the program at name is a non-parsed-header script (RFC
// 3875 § 5): by its name, or by one of the patterns of App.NPH.
func (a *App) sendsHTTP(name string) bool {
	base := filepath.Base(name)
	if strings.HasPrefix(base, nphPrefix) {
		return true
	}
	for _, p := range a.NPH {
		if ok, _ := path.Match(p, base); ok {
			return true
		}
	}
	return false
}
