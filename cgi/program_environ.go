package cgi

import (
	"os"
	"runtime"
	"strings"
	"unicode/utf8"
)

// ReadEnviron returns the environment of this process as the variables of the request that
// it was started for: wsgiref's read_environ. On Windows names come in capitals, as in
// Python, since case makes no difference there, and values that Apache stored with each
// byte as a character get their bytes back.
func ReadEnviron() *Environ { return readEnviron(os.Environ(), runtime.GOOS == "windows") }

// readEnviron is ReadEnviron for any environment and any system.
func readEnviron(vars []string, windows bool) *Environ {
	e := NewEnviron(vars...)
	if !windows {
		return e
	}
	w := newEnviron(e.Len())
	for name, value := range e.All() {
		w.Set(strings.ToUpper(name), value)
	}
	software := w.Get("SERVER_SOFTWARE")
	for i := range w.pairs.len() {
		name, value := w.pairs.at(i)
		w.pairs.setValue(i, transcode(name, value, software, windows))
	}
	return w
}

// transcode returns the bytes that the web server meant by the value of an environment
// variable.
//
// Elsewhere than on Windows these are the bytes of the value. On Windows the environment is
// UTF-16, which reads as UTF-8. Microsoft-IIS and most others put decoded text there, so
// there is nothing to do. Apache makes each byte a character, so those of a variable that
// needsTranscode are turned back into bytes, unless one of them is not a byte.
func transcode(name, value, serverSoftware string, windows bool) string {
	const apache = "apache/"
	if !windows || len(serverSoftware) < len(apache) || !strings.EqualFold(serverSoftware[:len(apache)], apache) {
		return value
	}
	if isASCII(value) || !needsTranscode(name) {
		return value
	}
	b := make([]byte, 0, len(value))
	for _, r := range value {
		if r > 0xff {
			return value
		}
		b = append(b, byte(r))
	}
	return string(b)
}

func isASCII(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// needsTranscode reports whether the value of a variable comes from the request, and so may
// hold any bytes. It is wsgiref's _needs_transcode.
func needsTranscode(name string) bool {
	for {
		rest, ok := strings.CutPrefix(name, "REDIRECT_")
		if !ok {
			break
		}
		name = rest
	}
	switch name {
	case "SCRIPT_NAME", "PATH_INFO", "QUERY_STRING", "REQUEST_METHOD", "AUTH_TYPE", "CONTENT_TYPE",
		"CONTENT_LENGTH", "HTTPS", "REMOTE_USER", "REMOTE_IDENT":
		return true
	}
	return strings.HasPrefix(name, "HTTP_") || strings.HasPrefix(name, "SSL_")
}
