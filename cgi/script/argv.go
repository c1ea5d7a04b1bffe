package script

import (
	"net/http"
	"slices"
	"strconv"
	"strings"

	"gatehouse/cgi"
)

// How many words a program gets on its command line, and how long each may be.
const (
	searchWords     = 64
	searchWordBytes = 256
)

// args returns the command line of a program without its path.
func (a *App) args(r *cgi.Request) []string {
	if !a.SearchArgs {
		return a.Args
	}
	return append(slices.Clip(a.Args), searchArgs(r.Env)...)
}

// searchArgs returns the words of a search string (RFC 3875 § 4.4): those of a GET or
// HEAD request whose query has no "=" that is not encoded, with "+" between them.
//
// A program, or its interpreter, may take a word for an option, a file or a command
// (CVE-2012-1823). So all words are ASCII letters, digits and the marks "." "," "_" "-"
// "@", and begin with a letter or a digit; if one of them is not, is empty or is too
// long, or if they are too many, there are none.
func searchArgs(env *cgi.Environ) []string {
	query := env.Get("QUERY_STRING")
	switch method := env.Get("REQUEST_METHOD"); {
	case method != http.MethodGet && method != http.MethodHead:
		return nil
	case query == "" || strings.IndexByte(query, '=') >= 0 || len(query) > 3*searchWords*searchWordBytes:
		return nil
	}
	words := strings.Split(query, "+")
	if len(words) > searchWords {
		return nil
	}
	for i, w := range words {
		word, ok := searchWord(w)
		if !ok {
			return nil
		}
		words[i] = word
	}
	return words
}

// searchWord decodes a word, and reports whether a command line may have it.
func searchWord(s string) (string, bool) {
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c == '%' {
			if i+2 >= len(s) {
				return "", false
			}
			n, err := strconv.ParseUint(s[i+1:i+3], 16, 8)
			if err != nil {
				return "", false
			}
			c = byte(n)
			i += 2
		}
		alphanumeric := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
		if !alphanumeric && (len(b) == 0 || strings.IndexByte(".,_-@", c) < 0) {
			return "", false
		}
		b = append(b, c)
	}
	return string(b), len(b) > 0 && len(b) <= searchWordBytes
}
