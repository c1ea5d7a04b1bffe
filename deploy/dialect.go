package deploy

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// A dialect is what sets the configuration of one web server apart.
type dialect struct {
	server  string
	title   string   // its name in prose
	user    string   // as whom Debian runs it
	groups  []string // that Debian has put that user into
	speaks  []spoken // the best first
	instead string   // a flag with which it can reach the gateway
	chroot  string   // the directory that Debian keeps it in, if any
	unix    string   // what stands before the path of a unix socket
	sockets string   // what the paths of sockets may have besides letters and digits of ASCII
	never   string   // a text in prefixes that no quoting keeps as it is, if any
	quote   func(string) string
}

// A spoken protocol has a word in the configuration.
type spoken struct{ protocol, word string }

// word returns the server's word for a protocol, or "" if it does not speak it.
func (d *dialect) word(protocol string) string {
	if i := d.rank(protocol); i >= 0 {
		return d.speaks[i].word
	}
	return ""
}

// rank returns how many protocols are better, or -1 if the server does not speak this one.
func (d *dialect) rank(protocol string) int {
	return slices.IndexFunc(d.speaks, func(s spoken) bool { return s.protocol == protocol })
}

func dialects() []dialect {
	const socket = "--fastcgi unix:/run/gatehouse/fastcgi.sock,group=www-data"
	web := []string{"www-data"}
	return []dialect{{
		server: "apache", title: "Apache", user: "www-data", groups: web, instead: socket,
		speaks: []spoken{{"fastcgi", "fcgi"}, {"scgi", "scgi"}, {"http", "http"}},
		unix:   "unix:", sockets: "/._-", // the path of a URL, which is not decoded
		never: "${", // a variable, quoted or not
		quote: quoteEscaped,
	}, {
		server: "caddy", title: "Caddy", user: "caddy", groups: []string{"caddy", "www-data"}, instead: socket,
		speaks: []spoken{{"fastcgi", "fastcgi"}, {"http", "http"}},
		unix:   "unix/", sockets: harmless,
		quote: quotePlain,
	}, {
		server: "haproxy", title: "HAProxy", user: "haproxy", groups: []string{"haproxy"}, instead: "--fastcgi 127.0.0.1:9000",
		speaks: []spoken{{"fastcgi", "fastcgi"}, {"http", "http"}},
		chroot: "/var/lib/haproxy",
		unix:   "unix@", sockets: harmless,
		quote: quoteShell,
	}, {
		server: "lighttpd", title: "lighttpd", user: "www-data", groups: web, instead: socket,
		speaks:  []spoken{{"fastcgi", "fastcgi"}, {"scgi", "scgi"}, {"http", "proxy"}},
		sockets: harmless,
		quote:   func(s string) string { return `"` + s + `"` }, // of what has no quotes and backslashes
	}, {
		server: "nginx", title: "nginx", user: "www-data", groups: web, instead: socket,
		speaks: []spoken{{"fastcgi", "fastcgi"}, {"scgi", "scgi"}, {"http", "proxy"}},
		unix:   "unix:", sockets: harmless,
		quote: quotePlain,
	}}
}

// isPlain reports whether a text needs no quotes anywhere.
func isPlain(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(c rune) bool { return !isAlphanumeric(c) && !strings.ContainsRune("/._:@[]-", c) })
}

// isAlphanumeric reports whether c is a letter or digit of ASCII.
func isAlphanumeric(c rune) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}

// quotePlain quotes what needs it as quoteEscaped does.
func quotePlain(s string) string {
	if isPlain(s) {
		return s
	}
	return quoteEscaped(s)
}

// quoteEscaped puts a text into double quotes, with a backslash before those in it, and before
// backslashes.
func quoteEscaped(s string) string {
	return `"` + strings.NewReplacer(`"`, `\"`, `\`, `\\`).Replace(s) + `"`
}

// quoteShell quotes what needs it as a shell does: between single quotes everything means
// itself.
func quoteShell(s string) string {
	if isPlain(s) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// pattern returns a regular expression for the paths of all mounts. It means the same in PCRE
// and in Go, and has no character that the configurations of lighttpd and Caddy know but
// "(|/)$".
func pattern(mounts []Mount) string {
	var alternatives []string
	for _, m := range mounts {
		if m.Root() {
			return "^/"
		}
		var b strings.Builder
		for _, c := range strings.TrimPrefix(m.Prefix, "/") {
			if c >= utf8.RuneSelf || isAlphanumeric(c) || strings.ContainsRune("/_-", c) {
				b.WriteRune(c)
			} else {
				const hex = "0123456789abcdef"
				b.WriteString(`\x` + string(hex[c>>4]) + string(hex[c&15]))
			}
		}
		alternatives = append(alternatives, b.String())
	}
	return `^/(` + strings.Join(alternatives, "|") + `)(/|$)`
}

// harmless is what means itself wherever the path of a socket is in a configuration, in quotes.
const harmless = "/._- +=@~"

// strayIn returns a character in the path of a socket that would mean something else, or may.
func (d *dialect) strayIn(path string) (rune, bool) {
	for _, c := range path {
		if !isAlphanumeric(c) && !strings.ContainsRune(d.sockets, c) {
			return c, true
		}
	}
	return 0, false
}

// unprintable returns a character of a text that is none, or that is not printed.
func unprintable(s string) (rune, bool) {
	for _, c := range s {
		if !unicode.IsPrint(c) || c == utf8.RuneError {
			return c, true
		}
	}
	return 0, false
}

// isHost reports whether a text can be the name of a host, or an IP address without a zone.
func isHost(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(c rune) bool { return !isAlphanumeric(c) && !strings.ContainsRune(".-_:", c) })
}

// commentWidth is the length of lines in comments.
const commentWidth = 78

// comment returns a text as the lines of a comment, in which no server finds anything else: a
// backslash at the end of a line would continue it in Apache's configuration, and Caddy puts
// the environment into comments, too.
func comment(indent, text string) string {
	text = strings.Map(func(c rune) rune {
		if !unicode.IsPrint(c) || c == utf8.RuneError || strings.ContainsRune(`\{}$`, c) {
			return '?'
		}
		return c
	}, text)
	var b strings.Builder
	width := 0
	for word := range strings.SplitSeq(text, " ") {
		n := utf8.RuneCountInString(word)
		switch {
		case width == 0 || width+1+n > commentWidth-len(indent):
			if width > 0 {
				b.WriteString("\n")
			}
			b.WriteString(indent + "# " + word)
			width = 2 + n
		default:
			b.WriteString(" " + word)
			width += 1 + n
		}
	}
	return b.String()
}
