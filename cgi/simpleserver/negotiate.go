package simpleserver

import "strings"

// prefersHTML reports whether a client with that Accept field (RFC 9110 § 12.5.1)
// is to get an HTML page rather than plain text: if it names text/html and does not
// like text/plain better. "*/*" alone, as command-line clients send it, names
// nothing. Of two that are named with the same weight it is text.
func prefersHTML(accept string) bool {
	html, plain := weight(accept, "text/html"), weight(accept, "text/plain")
	if html.rank < namedType || html.q == 0 {
		return false
	}
	return html.q > plain.q || html.q == plain.q && plain.rank < namedType
}

// How closely a media range names a type; the closest counts.
const (
	anyType      = 1 + iota // */*
	anyText                 // text/*
	namedType               // text/html
	namedCharset            // text/html;charset=utf-8
)

// A preference is what an Accept field says of a type.
type preference struct {
	rank int // 0: nothing
	q    int // in thousandths
}

// weight returns what accept says of a type of the given name in UTF-8.
func weight(accept, name string) (best preference) {
	for accept != "" {
		var item string
		item, accept = cutOutside(accept, ',')
		p := mediaRange(item, name)
		if p.rank > best.rank || p.rank == best.rank && p.q > best.q {
			best = p
		}
	}
	return best
}

// mediaRange reads "type/subtype;parameters;q=0.5". A range with a parameter that the
// page does not have does not match, and neither does a malformed one.
func mediaRange(item, name string) preference {
	text, params := cutOutside(item, ';')
	p := preference{q: 1000}
	switch text = strings.Trim(text, " \t"); {
	case text == "*/*":
		p.rank = anyType
	case text == "text/*":
		p.rank = anyText
	case strings.EqualFold(text, name):
		p.rank = namedType
	default:
		return preference{}
	}
	for params != "" {
		var param string
		param, params = cutOutside(params, ';')
		key, value, _ := strings.Cut(strings.Trim(param, " \t"), "=")
		switch {
		case key == "":
		case strings.EqualFold(key, "q"):
			var ok bool
			if p.q, ok = parseWeight(value); !ok {
				return preference{}
			}
			return p // what follows belongs to no media type
		case strings.EqualFold(key, "charset") && strings.EqualFold(strings.Trim(value, `"`), "utf-8") && p.rank == namedType:
			p.rank = namedCharset
		default:
			return preference{}
		}
	}
	return p
}

// cutOutside cuts s at the first sep outside quotes.
func cutOutside(s string, sep byte) (before, after string) {
	quoted := false
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '"':
			quoted = !quoted
		case quoted && s[i] == '\\':
			i++
		case !quoted && s[i] == sep:
			return s[:i], s[i+1:]
		}
	}
	return s, ""
}

// parseWeight reads a qvalue, in thousandths: "1", "0.5", "0.125".
func parseWeight(s string) (int, bool) {
	s = strings.Trim(s, " \t")
	whole, digits, _ := strings.Cut(s, ".")
	if whole != "0" && whole != "1" || len(digits) > 3 || digits != "" && !isNumber(digits) {
		return 0, false
	}
	n := 0
	for _, d := range (digits + "000")[:3] {
		n = n*10 + int(d-'0')
	}
	if whole == "1" {
		return 1000, n == 0
	}
	return n, true
}
