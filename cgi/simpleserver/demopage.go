package simpleserver

import (
	"strings"

	"gatehouse/cgi"
)

// demoGroups are the groups of the page, in order; a variable is in the first whose
// function holds for its name.
var demoGroups = []struct {
	title, about string
	has          func(name string) bool
}{
	{"Request", "What the client asked for.", oneOf("REQUEST_METHOD", "REQUEST_URI", "SERVER_PROTOCOL",
		"CONTENT_TYPE", "CONTENT_LENGTH", "AUTH_TYPE", "REMOTE_USER", "REMOTE_IDENT")},
	{"URL parts", "How the address was split.", oneOf("REQUEST_SCHEME", "HTTPS", "SCRIPT_NAME", "PATH_INFO",
		"QUERY_STRING", "PATH_TRANSLATED", "DOCUMENT_ROOT", "DOCUMENT_URI", "SCRIPT_FILENAME")},
	{"Headers", "What else the client said, a variable for each header field.",
		func(name string) bool { return strings.HasPrefix(name, "HTTP_") }},
	{"Server", "Who received it.", func(name string) bool {
		return strings.HasPrefix(name, "SERVER_") || name == "GATEWAY_INTERFACE"
	}},
	{"Connection", "Where it came from.", func(name string) bool {
		return strings.HasPrefix(name, "REMOTE_") || strings.HasPrefix(name, "SSL_") || strings.HasPrefix(name, "TLS_")
	}},
	{"Other", "Whatever else there was.", func(string) bool { return true }},
}

func oneOf(names ...string) func(string) bool {
	return func(name string) bool {
		for _, n := range names {
			if n == name {
				return true
			}
		}
		return false
	}
}

const demoHead = `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Hello world!</title>
<style>
:root { color-scheme: light dark; --ink: #1c2430; --soft: #5b6675; --line: #d9dee5; --paper: #fff; --back: #f3f5f8; --mark: #0b5cad }
@media (prefers-color-scheme: dark) {
:root { --ink: #e4e8ee; --soft: #98a3b3; --line: #333c49; --paper: #1b212a; --back: #12161c; --mark: #7db7f5 } }
body { margin: 0 auto; padding: 2rem 1rem 4rem; max-width: 60rem; font: 1rem/1.5 system-ui, sans-serif; color: var(--ink); background: var(--back) }
h1 { margin: 0; font-size: 2rem }
h2 { margin: 2rem 0 0; font-size: 1.15rem }
p { margin: 0 0 .6rem; color: var(--soft) }
.asked { overflow-wrap: anywhere; font: 1.05rem/1.5 ui-monospace, monospace; color: var(--mark) }
table { width: 100%; border-collapse: collapse; background: var(--paper); border: 1px solid var(--line) }
th, td { padding: .35rem .75rem; text-align: left; vertical-align: top; font: .9rem/1.5 ui-monospace, monospace; border-top: 1px solid var(--line) }
th { width: 16rem; font-weight: 600; overflow-wrap: anywhere }
td { overflow-wrap: anywhere; white-space: pre-wrap }
.empty { color: var(--soft); font-style: italic }
@media (max-width: 40rem) { th, td { display: block; width: auto } td { border-top: 0; padding-top: 0 } }
</style>
</head>
<body>
<h1>Hello world!</h1>
`

// appendDemoPage appends the variables of env, whose sorted names are given, as an
// HTML page. Everything that came with the request is escaped.
func appendDemoPage(b []byte, env *cgi.Environ, names []string) []byte {
	b = append(b, demoHead...)
	b = append(b, "<p>The gateway works. This is what an application is told about your request:</p>\n<p class=\"asked\">"...)
	b = appendEscaped(b, env.Get("REQUEST_METHOD")+" "+env.RequestTarget()+" "+env.Get("SERVER_PROTOCOL"))
	b = append(b, "</p>\n"...)
	done := make([]bool, len(names))
	for _, g := range demoGroups {
		open := false
		for i, name := range names {
			if done[i] || !g.has(name) {
				continue
			}
			done[i] = true
			if !open {
				b = append(b, "<h2>"+g.title+"</h2>\n<p>"+g.about+"</p>\n<table>\n"...)
				open = true
			}
			b = append(b, `<tr><th scope="row">`...)
			b = appendEscaped(b, name)
			b = append(b, "</th><td>"...)
			if v := env.Get(name); v == "" {
				b = append(b, `<span class="empty">empty</span>`...)
			} else {
				b = appendEscaped(b, v)
			}
			b = append(b, "</td></tr>\n"...)
		}
		if open {
			b = append(b, "</table>\n"...)
		}
	}
	return append(b, "</body>\n</html>\n"...)
}

// appendEscaped appends the bytes of s as characters of ISO 8859-1, with those that
// mean something in HTML escaped. A control character is shown as its picture.
func appendEscaped(b []byte, s string) []byte {
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '&':
			b = append(b, "&amp;"...)
		case c == '<':
			b = append(b, "&lt;"...)
		case c == '>':
			b = append(b, "&gt;"...)
		case c == '"':
			b = append(b, "&#34;"...)
		case c == '\'':
			b = append(b, "&#39;"...)
		case c < ' ':
			b = append(b, string(rune(0x2400+int(c)))...)
		case 0x7f <= c && c < 0xa0:
			b = append(b, "\ufffd"...)
		default:
			b = appendLatin1(b, s[i:i+1])
		}
	}
	return b
}
