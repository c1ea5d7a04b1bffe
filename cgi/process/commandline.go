package process

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// secretNames are parts of the names of options and variables whose values are secrets.
var secretNames = []string{"pass", "pwd", "secret", "token", "credential", "apikey", "api_key", "api-key", "private_key", "private-key", "auth"}

const masked = "***"

func namesSecret(name string) bool {
	name = strings.ToLower(name)
	for _, s := range secretNames {
		if strings.Contains(name, s) {
			return true
		}
	}
	return false
}

// commandText makes one line of a command line whose arguments each end in NUL. Values of
// options and variables whose names say that they are secrets (--password=X, --token X,
// API_KEY=X), and passwords in URLs, are masked: who may read the log is not who may see
// the processes.
func commandText(line []byte) string {
	args := strings.Split(strings.TrimRight(string(line), "\x00"), "\x00")
	secret := false // the next argument is
	for i, arg := range args {
		name, _, valued := strings.Cut(arg, "=")
		switch {
		case secret && !strings.HasPrefix(arg, "-"):
			args[i], secret = masked, false
			continue
		case valued && namesSecret(name) && !strings.ContainsAny(name, " \t\n"):
			args[i] = name + "=" + masked
		default:
			args[i] = maskURL(arg)
		}
		secret = i > 0 && !valued && strings.HasPrefix(arg, "--") && namesSecret(arg)
	}
	return printable(strings.Join(args, " "), maxCommand)
}

// maskURL masks the password of a URL.
func maskURL(s string) string {
	before, rest, ok := strings.Cut(s, "://")
	if !ok {
		return s
	}
	authority := rest
	if i := strings.IndexAny(rest, "/?# "); i >= 0 {
		authority = rest[:i]
	}
	at := strings.LastIndexByte(authority, '@')
	if at < 0 {
		return s
	}
	user, _, given := strings.Cut(authority[:at], ":")
	if !given {
		return s
	}
	return before + "://" + user + ":" + masked + rest[at:]
}

// printable returns s with a "?" for each rune that is not printable, cut at max bytes.
func printable(s string, max int) string {
	var b strings.Builder
	for _, r := range s {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			r = '?'
		}
		if b.Len()+utf8.RuneLen(r) > max {
			b.WriteString("...")
			break
		}
		b.WriteRune(r)
	}
	return b.String()
}
