package simpleserver

import (
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"gatehouse/cgi"
)

// DemoApp is wsgiref's demo_app as a [cgi.AppFunc]: a greeting, an empty line,
// and the request's variables, sorted by name, each as Python prints it with
// print(name, '=', repr(value)). The page is UTF-8; the bytes of a variable are
// shown as the characters of ISO 8859-1, as PEP 3333 has a server decode them.
//
// A client that names text/html in its Accept field and does not like text/plain
// better, as browsers do, gets the variables as an HTML page, in groups.
func DemoApp(w cgi.ResponseWriter, r *cgi.Request) error {
	names := make([]string, 0, r.Env.Len())
	for name := range r.Env.All() {
		names = append(names, name)
	}
	slices.Sort(names)
	fields, page := demoText, []byte(nil)
	if accept, ok := r.Env.Lookup("HTTP_ACCEPT"); ok && prefersHTML(accept) {
		fields, page = demoHTML, appendDemoPage(nil, r.Env, names)
	} else {
		page = appendDemoText(nil, r.Env, names)
	}
	if err := w.StartResponse("200 OK", fields); err != nil {
		return err
	}
	_, err := w.Write(page)
	return err
}

var (
	demoText = []cgi.Field{{Name: "Content-Type", Value: "text/plain; charset=utf-8"}, {Name: "Vary", Value: "Accept"}}
	demoHTML = []cgi.Field{{Name: "Content-Type", Value: "text/html; charset=utf-8"}, {Name: "Vary", Value: "Accept"},
		{Name: "Content-Security-Policy", Value: "default-src 'none'; style-src 'unsafe-inline'"}}
)

// appendDemoText appends demo_app's text.
func appendDemoText(page []byte, env *cgi.Environ, names []string) []byte {
	page = append(page, "Hello world!\n\n"...)
	for _, name := range names {
		page = appendLatin1(page, name)
		page = append(page, " = "...)
		page = appendRepr(page, env.Get(name))
		page = append(page, '\n')
	}
	return page
}

// appendLatin1 appends the bytes of s, each as the character of that number.
func appendLatin1(b []byte, s string) []byte {
	for i := 0; i < len(s); i++ {
		b = utf8.AppendRune(b, rune(s[i]))
	}
	return b
}

// appendRepr appends what Python's repr makes of the string whose characters are
// the bytes of s: in single quotes unless it holds some and no double ones, and
// with what Python does not call printable escaped.
func appendRepr(b []byte, s string) []byte {
	quote := byte('\'')
	if strings.IndexByte(s, '\'') >= 0 && strings.IndexByte(s, '"') < 0 {
		quote = '"'
	}
	b = append(b, quote)
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == quote || c == '\\':
			b = append(b, '\\', c)
		case c == '\t':
			b = append(b, `\t`...)
		case c == '\n':
			b = append(b, `\n`...)
		case c == '\r':
			b = append(b, `\r`...)
		case c < ' ' || 0x7f <= c && c <= 0xa0 || c == 0xad:
			// U+00A0 is a space other than " ", U+00AD (soft hyphen) a format character.
			b = append(b, `\x`...)
			if c < 0x10 {
				b = append(b, '0')
			}
			b = strconv.AppendUint(b, uint64(c), 16)
		default:
			b = utf8.AppendRune(b, rune(c))
		}
	}
	return append(b, quote)
}
