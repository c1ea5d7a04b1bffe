package daemon

import (
	"fmt"
	"regexp"
	"strings"
	"sync"
)

// pattern returns a regular expression, which is compiled when it is first needed: not before
// a CGI program has begun to serve.
func pattern(s string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(s) })
}

// bareValue is what stands in TOML without quotes: true, false, a number or a date.
var bareValue = pattern(`^(true|false|[+-]?(inf|nan|(0|[1-9][0-9_]*)(\.[0-9][0-9_]*)?([eE][+-]?[0-9_]+)?)|0x[0-9A-Fa-f_]+|0o[0-7_]+|0b[01_]+|[0-9]{4}-[0-9]{2}-[0-9]{2}.*)$`)

// assignment is a line of TOML with a value on it.
var assignment = pattern(`^(\s*([A-Za-z0-9_.-]+)\s*=\s*)(.*)$`)

// A value and an element of an array: a string or a comment or, as the group, what stands
// without quotes.
var (
	oneValue = pattern(`"(?:[^"\\]|\\.)*"|'[^']*'|#.*|(\[[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*\]:[0-9]+|[^\s#"']+)`)
	element  = pattern(`"(?:[^"\\]|\\.)*"|'[^']*'|#.*|(\[[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*\]:[0-9]+|[^\s,\[\]{}#"'=]+)`)
)

// unquoted returns what to say of a line that is no TOML because of a string without
// quotes, and the column of that string, or "".
func unquoted(line string) (message string, column int) {
	m := assignment().FindStringSubmatch(strings.TrimRight(line, "\r"))
	if m == nil {
		return "", 0
	}
	start, key, value := m[1], m[2], m[3]
	token := oneValue
	if strings.HasPrefix(value, "[") {
		token = element
	}
	for _, at := range token().FindAllStringSubmatchIndex(value, -1) {
		if at[2] < 0 || bareValue().MatchString(value[at[2]:at[3]]) || strings.HasPrefix(value, "{") {
			continue
		}
		text := value[at[2]:at[3]]
		write := fmt.Sprintf("%q", strings.Trim(text, "“”„‘’«»`"))
		switch strings.ToLower(text) {
		case "yes", "no", "on", "true", "false":
			write = "true or false"
		}
		return fmt.Sprintf("%s: %s is not in quotes: write %s", key, text, write), len(start) + at[2] + 1
	}
	return "", 0
}

// lineAt returns the n-th line of data, counted from 1.
func lineAt(data []byte, n int) string {
	for line := range strings.Lines(string(data)) {
		if n--; n == 0 {
			return strings.TrimRight(line, "\n")
		}
	}
	return ""
}
