//go:build linux

package script

import (
	"fmt"
	"strings"
	"testing"

	"gatehouse/cgi"
)

// R36: words of a search string, and what never becomes one.
func TestR36SearchArgs(t *testing.T) {
	many := strings.Repeat("a+", searchWords-1) + "a"
	long := strings.Repeat("a", searchWordBytes)
	for query, want := range map[string][]string{
		"a":                   {"a"},
		"one+two":             {"one", "two"},
		"joe%40example.com":   {"joe@example.com"},
		"Caf%65+1,5+a_b+x-y.": {"Cafe", "1,5", "a_b", "x-y."},
		many:                  strings.Split(many, "+"),
		long:                  {long},

		"":                nil,
		"a=b":             nil,
		"=":               nil,
		"a+b=c":           nil,
		"+":               nil,
		"a+":              nil,
		"+a":              nil,
		"a++b":            nil,
		many + "+a":       nil,
		long + "a":        nil,
		"a%":              nil,
		"a%4":             nil,
		"a%4g":            nil,
		"a%zz":            nil,
		"%":               nil,
		"a b":             nil,
		"a%20b":           nil,
		"a%00b":           nil,
		"a%0ab":           nil,
		"a%3Db":           nil, // "=", encoded
		"caf%C3%A9":       nil,
		"caf\xc3\xa9":     nil,
		"a%2Bb":           nil,
		"..":              nil,
		".htpasswd":       nil,
		"@file":           nil,
		"_x":              nil,
		",":               nil,
		"a*":              nil,
		"~root":           nil,
		"%7Eroot":         nil,
		"/etc/passwd":     nil,
		"%2Fetc%2Fpasswd": nil,
		"a/b":             nil,
		"c%3A%5Cboot":     nil,
		"%25USER%25":      nil,

		// php-cgi, and its relations (CVE-2012-1823, CVE-2012-2311, CVE-2024-4577).
		"-s":         nil,
		"-s+a":       nil,
		"a+-s":       nil,
		"%2ds":       nil,
		"%2D%2Dhelp": nil,
		"+-s":        nil,
		"%20-s":      nil,
		"\t-s":       nil,
		"%ads":       nil, // a soft hyphen, which Windows makes a "-"
		"-d+allow_url_include%3d1+-d+auto_prepend_file%3dphp://input": nil,
		"-dallow_url_include%3don":                                    nil,
		"-T+10000":                                                    nil,
		"%E2%80%90s":                                                  nil,
		"a%0d%0a-s":                                                   nil,

		// Shells.
		"a;id":        nil,
		"a%3Bid":      nil,
		"a|id":        nil,
		"a%26id":      nil,
		"$(id)":       nil,
		"%24%28id%29": nil,
		"`id`":        nil,
		"a%22b":       nil,
		"a'b":         nil,
		"a\\b":        nil,
		"a>b":         nil,
		"a%3Cb":       nil,
		"!x":          nil,
		"{a,b}":       nil,
		"a#b":         nil,
		"a?b":         nil,
		"[a]":         nil,
	} {
		for _, method := range []string{"GET", "HEAD"} {
			got := searchArgs(cgi.NewEnviron("REQUEST_METHOD="+method, "QUERY_STRING="+query))
			if fmt.Sprintf("%q", got) != fmt.Sprintf("%q", want) {
				t.Errorf("%s ?%s: %q; want %q", method, query, got, want)
			}
		}
		for _, method := range []string{"POST", "PUT", "get", ""} {
			if got := searchArgs(cgi.NewEnviron("REQUEST_METHOD="+method, "QUERY_STRING="+query)); got != nil {
				t.Errorf("%s ?%s: %q; want nothing", method, query, got)
			}
		}
	}
}

// FuzzSearchArgs: no word can be an option, a path or a command.
func FuzzSearchArgs(f *testing.F) {
	for _, q := range []string{"one+two", "%2ds", "a%00", "a+%2D-", "caf%C3%A9", "a%"} {
		f.Add(q)
	}
	f.Fuzz(func(t *testing.T, query string) {
		words := searchArgs(cgi.NewEnviron("REQUEST_METHOD=GET", "QUERY_STRING="+query))
		if strings.Contains(query, "=") && words != nil {
			t.Fatalf("%q: %q", query, words)
		}
		for _, w := range words {
			if strings.Trim(w, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.,_-@") != "" || w == "" || strings.IndexByte(".,_-@", w[0]) >= 0 || len(w) > searchWordBytes {
				t.Fatalf("%q: %q", query, w)
			}
		}
		if len(words) > searchWords {
			t.Fatalf("%q: %d words", query, len(words))
		}
	})
}

// Arguments come only where they are asked for.
func TestSearchArgsAreAnOption(t *testing.T) {
	for _, on := range []bool{false, true} {
		f := newFixture(t)
		f.SearchArgs = on
		f.sh(t, "args", head+`for a; do echo "$a"; done`)
		for query, want := range map[string]string{"one+t%77o": "one\ntwo\n", "-s": "", "a=b": "", "one+$(id)": ""} {
			if !on {
				want = ""
			}
			s, res := f.serve(request("/args", "QUERY_STRING="+query))
			checkOK(t, s, res, want)
			e, err := f.Explain(request("/args", "QUERY_STRING="+query))
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(e.Args, "\n") + "\n"; got != f.dir+"/args\n"+want {
				t.Errorf("explained as %q; want %q", got, want)
			}
		}
		s, res := f.serve(withBody(request("/args", "QUERY_STRING=one"), 1, strings.NewReader("x")))
		checkOK(t, s, res, "")
	}
}

// Args come first, and an empty one is an argument.
func TestArgs(t *testing.T) {
	for _, search := range []bool{false, true} {
		f := newFixture(t)
		f.Args, f.SearchArgs = []string{"-x", "", "a b"}, search
		f.sh(t, "args", head+`for a; do echo "<$a>"; done`)
		want := "<-x>\n<>\n<a b>\n"
		if search {
			want += "<one>\n"
		}
		for range 2 {
			s, res := f.serve(request("/args", "QUERY_STRING=one"))
			checkOK(t, s, res, want)
		}
	}
}
