package daemon

import (
	"fmt"
	"strings"
)

// otherNames are what other programs call what has a name here.
var otherNames = map[string]string{"fcgi": "fastcgi", "cgi": "scripts", "cgi_bin": "scripts",
	"chdir": "directory", "venv": "python", "virtualenv": "python", "module": "wsgi", "mount": "prefix",
	"threads": "workers", "timeout": "run", "harakiri": "run", "max_worker_lifetime": "recycle_age", "reload_on_rss": "recycle_memory",
	"py_autoreload": "reload_on_change", "pythonpath": "directory", "working_directory": "directory", "bind": "http", "environment": "env"}

// Suggest returns "did you mean ..." with the word in words that is most similar to
// word, or "" if none is similar.
func Suggest(word string, words []string) string {
	best, least := "", max(2, len(word)/3)+1
	if len(word) > 64 {
		return ""
	}
	folded := strings.ToLower(strings.ReplaceAll(word, "-", "_"))
	if other := otherNames[strings.TrimLeft(folded, "_")]; other != "" {
		for _, w := range words {
			if strings.TrimLeft(w, "-") == other {
				return fmt.Sprintf("did you mean %q?", w)
			}
		}
	}
	for _, w := range words {
		if d := distance(folded, strings.ReplaceAll(w, "-", "_")); d < least && d < len(w) {
			best, least = w, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf("did you mean %q?", best)
}

// distance returns how many bytes must be inserted, removed, replaced or swapped
// with their neighbour to turn a into b.
func distance(a, b string) int {
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			n := min(rows[i-1][j]+1, rows[i][j-1]+1, rows[i-1][j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				n = min(n, rows[i-2][j-2]+1)
			}
			rows[i][j] = n
		}
	}
	return rows[len(a)][len(b)]
}
