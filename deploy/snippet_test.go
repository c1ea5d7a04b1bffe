package deploy_test

import (
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gatehouse/deploy"
)

// hostile are pieces of texts that mean something to one of the servers.
var hostile = []string{
	"a", " ", `"`, "'", "`", `\`, "$", "${HOME}", "{$HOME}", "{env.HOME}", "%{HOME}", "{", "}", "[", "(", "|", ".", "*", "?", "+", "^", ";", "#", ",", ":", "%", "=",
	"\n", "\r", "\x00", "\u2028", "\xff", "é",
}

// TestSnippetQuoting: whatever a prefix, the path of a socket and a description are, a snippet
// has the same words as one for plain ones, or there is none.
func TestSnippetQuoting(t *testing.T) {
	for _, server := range deploy.SnippetServers() {
		snippet := func(prefix, socket, source string) (string, error) {
			return deploy.Snippet(server, deploy.Gateway{
				Listeners: []deploy.Listener{{Protocol: "fastcgi", Name: "unix:" + socket, Path: "/var/lib/haproxy/" + socket, Group: source, Remarks: []string{source}}},
				Mounts:    []deploy.Mount{{Prefix: prefix, Source: source, Kept: true}, {Prefix: "/o", Files: true, Source: source}},
			})
		}
		plain, err := snippet("/benign", "plain.sock", "it")
		if err != nil {
			t.Fatal(err)
		}
		accepted := make(map[string]bool) // those of hostile that a prefix, a socket or a description may have
		for _, first := range hostile {
			for _, second := range []string{"a", `"`, "'", "`", `\`, "{", "#", " "} {
				odd := first + second
				for kind, args := range map[string][3]string{"prefix": {"/" + odd, "plain.sock", "it"}, "socket": {"/benign", odd, "it"}, "source": {"/benign", "plain.sock", odd}} {
					text, err := snippet(args[0], args[1], args[2])
					if err != nil {
						continue
					}
					accepted[kind+first] = true
					got, want := words(server, text), words(server, plain)
					for i := range want {
						want[i] = strings.NewReplacer("/benign", args[0], "plain.sock", args[1]).Replace(want[i])
						if i < len(got) && strings.HasSuffix(want[i], ")(/|$)") {
							if err := checkPattern(got[i], args[0]); err != nil {
								t.Fatalf("%v in\n%s", err, text)
							}
							want[i] = got[i]
						}
					}
					if !slices.Equal(got, want) {
						t.Fatalf("%s %q: words %q\nwant  %q\nof\n%s", kind, odd, got, want, text)
					}
				}
			}
		}
		for _, piece := range hostile {
			control := piece == "\n" || piece == "\r" || piece == "\x00" || piece == "\u2028" || piece == "\xff"
			if want := !control && !(server == "apache" && piece == "${HOME}"); accepted["prefix"+piece] != want {
				t.Errorf("%s: a prefix with %q is accepted: %v", server, piece, !want)
			}
			if !accepted["source"+piece] {
				t.Errorf("%s: a description with %q is refused", server, piece)
			}
		}
	}
}

// checkPattern checks that a regular expression is for the paths of prefix and of /o.
func checkPattern(pattern, prefix string) error {
	re, err := regexp.Compile(pattern)
	if err != nil {
		return err
	}
	for path, want := range map[string]bool{prefix: true, prefix + "/": true, prefix + "/x\n": true, "/o": true, "/o/x": true,
		prefix + "x": false, "x" + prefix: false, "/o.": false, "/": false} {
		if re.MatchString(path) != want {
			return fmt.Errorf("%s matches %q: %v", pattern, path, !want)
		}
	}
	return nil
}

// words returns the words of a configuration, without comments, by the rules of the server.
// Where lines count, "\n" is a word.
func words(server, text string) (list []string) {
	for text != "" {
		c := text[0]
		switch {
		case c == '\n' && (server == "apache" || server == "haproxy"):
			list, text = append(list, "\n"), text[1:]
		case c == ' ' || c == '\t' || c == '\n':
			text = text[1:]
		case c == '#':
			var line string
			line, text, _ = strings.Cut(text, "\n")
			if server == "apache" && strings.HasSuffix(line, `\`) {
				list = append(list, "continued")
			}
			if server == "caddy" && strings.Contains(line, "{$") {
				list = append(list, "replaced")
			}
			text = "\n" + text
		case server == "nginx" && strings.IndexByte(";{}", c) >= 0:
			list, text = append(list, string(c)), text[1:]
		default:
			var word string
			word, text = nextWord(server, text)
			list = append(list, word)
		}
	}
	// Comments are of any length.
	return slices.CompactFunc(list, func(a, b string) bool { return a == "\n" && b == "\n" })
}

// errWord is in place of a word that cannot be read.
var errWord = errors.New("no word").Error()

// nextWord returns the first word of text, without its quotes, and the rest.
func nextWord(server, text string) (word, rest string) {
	quotes, escapes := `"`, `"\`
	switch server {
	case "nginx", "apache":
		quotes = `"'`
	case "haproxy":
		quotes = `"'`
	case "lighttpd":
		escapes = `"`
	case "caddy":
		quotes, escapes = "\"`", `"`
	}
	if server == "haproxy" {
		return shellWord(text)
	}
	if q := text[0]; strings.IndexByte(quotes, q) >= 0 {
		for i := 1; i < len(text); i++ {
			switch {
			case text[i] == q:
				return word, text[i+1:]
			case text[i] == '\\' && q != '`' && i+1 < len(text) && strings.IndexByte(escapes, text[i+1]) >= 0:
				i++
			case strings.HasPrefix(text[i:], "${") && server == "apache", strings.HasPrefix(text[i:], "{$") && server == "caddy":
				return errWord, ""
			}
			word += text[i : i+1]
		}
		return errWord, ""
	}
	end := strings.IndexAny(text, " \t\n;")
	if server != "nginx" {
		end = strings.IndexAny(text, " \t\n")
	}
	if end < 0 {
		return text, ""
	}
	return text[:end], text[end:]
}

// shellWord is nextWord for HAProxy, where quotes may begin and end within a word.
func shellWord(text string) (word, rest string) {
	quoted := false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '\'':
			quoted = !quoted
		case quoted:
			word += text[i : i+1]
		case c == '\\' && i+1 < len(text):
			i++
			word += text[i : i+1]
		case c == ' ' || c == '\t' || c == '\n':
			return word, text[i:]
		default:
			word += text[i : i+1]
		}
	}
	return word, ""
}

// TestSnippetChoice: of several listeners a server gets the one that suits it best.
func TestSnippetChoice(t *testing.T) {
	port := func(protocol string) deploy.Listener {
		return deploy.Listener{Protocol: protocol, Name: protocol + "-port", Host: "::1", Port: 9000}
	}
	socket := func(protocol string) deploy.Listener {
		return deploy.Listener{Protocol: protocol, Name: protocol + "-socket", Path: "/run/s.sock"}
	}
	passed := deploy.Listener{Protocol: "fastcgi", Name: "fd:3", Err: errors.New("write another")}
	for _, tt := range []struct {
		servers   string
		listeners []deploy.Listener
		want      string // the listener, or the error
	}{
		{"apache caddy haproxy lighttpd nginx", []deploy.Listener{port("http"), port("fastcgi"), port("scgi")}, "fastcgi-port"},
		{"apache lighttpd nginx", []deploy.Listener{port("http"), port("scgi")}, "scgi-port"},
		{"caddy haproxy", []deploy.Listener{port("scgi"), port("http")}, "http-port"},
		{"apache caddy lighttpd nginx", []deploy.Listener{socket("http"), port("fastcgi"), socket("fastcgi")}, "fastcgi-socket"},
		{"haproxy", []deploy.Listener{socket("fastcgi"), port("fastcgi")}, "fastcgi-port"},
		{"haproxy", []deploy.Listener{socket("fastcgi"), port("http")}, "http-port"},
		{"apache caddy haproxy lighttpd nginx", []deploy.Listener{passed, port("http")}, "http-port"},
		{"apache caddy haproxy lighttpd nginx", []deploy.Listener{passed}, "--fastcgi fd:3: write another"},
	} {
		for server := range strings.FieldsSeq(tt.servers) {
			text, err := deploy.Snippet(server, deploy.Gateway{Listeners: tt.listeners, Mounts: []deploy.Mount{{Prefix: "/a"}}})
			if err != nil {
				text = err.Error()
			}
			if text != tt.want && !regexp.MustCompile(`# gatehouse listens for [A-Za-z]+ at `+tt.want+`\.`).MatchString(text) {
				t.Errorf("%s: not %s:\n%s", server, tt.want, text)
			}
			if len(tt.listeners) > 1 && !strings.Contains(strings.ReplaceAll(text, "\n# ", " "), " which this snippet does not use.") {
				t.Errorf("%s: the others are not named:\n%s", server, text)
			}
		}
	}
}

// TestSnippetUsers: a snippet says whom a socket keeps out.
func TestSnippetUsers(t *testing.T) {
	for _, tt := range []struct {
		server, owner, group string
		mode                 uint32
		want                 string
	}{
		{"nginx", "", "www-data", 0o660, ""},
		{"nginx", "www-data", "", 0o600, ""},
		{"nginx", "", "", 0o666, ""},
		{"caddy", "", "www-data", 0o660, ""},
		{"nginx", "", "web", 0o660, "Debian's nginx runs as user www-data, which may connect only if it is in group web."},
		{"caddy", "", "", 0o660, "Debian's Caddy runs as user caddy, which may not connect, unless gatehouse runs as that user, too: write unix:/run/s.sock,group=www-data."},
		{"apache", "gatehouse", "", 0o660, "runs as user www-data, which may not connect"},
	} {
		text, err := deploy.Snippet(tt.server, deploy.Gateway{
			Listeners: []deploy.Listener{{Protocol: "fastcgi", Name: "unix:/run/s.sock", Path: "/run/s.sock", Mode: fs.FileMode(tt.mode), Owner: tt.owner, Group: tt.group}},
			Mounts:    []deploy.Mount{{Prefix: "/a"}},
		})
		if err != nil {
			t.Fatal(err)
		}
		text = strings.ReplaceAll(text, "\n# ", " ")
		if !strings.Contains(text, tt.want) || strings.Contains(text, "runs as user") != (tt.want != "") {
			t.Errorf("%s, %s:%s %o: no %q in\n%s", tt.server, tt.owner, tt.group, tt.mode, tt.want, text)
		}
	}
}
