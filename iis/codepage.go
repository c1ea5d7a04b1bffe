package iis

import (
	"strings"
	"unicode/utf8"

	"gatehouse/cgi"
)

// restorableBytes bounds a path that is restored. IIS takes 4 KiB by default (maxUrl).
const restorableBytes = 16 << 10

// restorePath gives SCRIPT_NAME and PATH_INFO the characters that the code page of the
// machine lacks. The FastCGI module sends "?", or a similar letter, in the place of each, and
// those that the code page has in one or two bytes of it. REQUEST_URI still has them,
// percent-encoded. If its path, decoded, is SCRIPT_NAME and PATH_INFO but for such
// characters, or PATH_INFO alone where that repeats SCRIPT_NAME, both are taken from there,
// cut where as many segments end as SCRIPT_NAME has. Otherwise, as after a rewrite, or if it
// is not UTF-8, they stay as they are.
func restorePath(env *cgi.Environ) {
	asked := env.RequestPath()
	if len(asked) > restorableBytes || isASCII(asked) || !utf8.ValidString(asked) || strings.IndexByte(asked, 0) >= 0 {
		return
	}
	script, info := env.Get("SCRIPT_NAME"), env.Get("PATH_INFO")
	for _, path := range []string{asked, resolveKeepingSlash(asked)} {
		repeated := script != "" && strings.HasPrefix(info+"/", script+"/") && resembles(info, path)
		if !repeated && !resembles(script+info, path) {
			continue
		}
		head, tail, ok := cutSegments(path, strings.Count(script, "/"))
		if !ok || !resembles(script, head) {
			continue
		}
		if repeated {
			tail = path
		}
		if script != "" {
			env.Set("SCRIPT_NAME", head)
		}
		if info != "" {
			env.Set("PATH_INFO", tail)
		}
		return
	}
}

// resolveKeepingSlash returns path as IIS resolves it: with slashes for backslashes, without
// dot segments and repeated slashes.
func resolveKeepingSlash(path string) string {
	p := resolve(path)
	if p != "/" && strings.HasSuffix(strings.ReplaceAll(path, `\`, "/"), "/") {
		p += "/"
	}
	return p
}

// cutSegments cuts path behind its first n segments, each of which begins with a slash.
func cutSegments(path string, n int) (head, tail string, ok bool) {
	at := 0
	for range n {
		if at >= len(path) || path[at] != '/' {
			return "", "", false
		}
		if i := strings.IndexByte(path[at+1:], '/'); i >= 0 {
			at += 1 + i
		} else {
			at = len(path)
		}
	}
	return path[:at], path[at:], true
}

// resembles reports whether sent may be what a code page makes of want, which is UTF-8: the
// same, but for characters beyond ASCII, each of which may be any one or two bytes that are
// not a slash.
func resembles(sent, want string) bool {
	if sent == want {
		return true
	}
	if strings.Count(sent, "/") != strings.Count(want, "/") {
		return false
	}
	for {
		s, sentRest, more := strings.Cut(sent, "/")
		w, wantRest, _ := strings.Cut(want, "/")
		if !segmentResembles(s, w) {
			return false
		}
		if !more {
			return true
		}
		sent, want = sentRest, wantRest
	}
}

// segmentResembles is resembles for what is between two slashes. It follows all ways of
// reading sent at once: at holds where in sent each may be after the characters so far.
func segmentResembles(sent, want string) bool {
	if isASCII(want) {
		return sent == want
	}
	at, next := make([]bool, len(sent)+1), make([]bool, len(sent)+1)
	at[0] = true
	first, last := 0, 0 // the bounds of what is set in at
	for _, r := range want {
		clear(next)
		low, high := len(sent)+1, -1
		reach := func(i int) {
			if i <= len(sent) {
				next[i] = true
				low, high = min(low, i), max(high, i)
			}
		}
		for i := first; i <= last; i++ {
			switch {
			case !at[i]:
			case r < utf8.RuneSelf:
				if i < len(sent) && sent[i] == byte(r) {
					reach(i + 1)
				}
			default:
				reach(i + 1)
				reach(i + 2)
				if n := utf8.RuneLen(r); strings.HasPrefix(sent[i:], string(r)) {
					reach(i + n)
				}
			}
		}
		if high < 0 {
			return false
		}
		at, next, first, last = next, at, low, high
	}
	return at[len(sent)]
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}
