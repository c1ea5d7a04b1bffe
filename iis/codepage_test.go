package iis

import (
	"strings"
	"testing"
	"unicode/utf8"

	"gatehouse/cgi"
)

// windows1252 is what IIS makes of a path on a Western machine, roughly.
func windows1252(s string) string {
	var b strings.Builder
	for _, r := range s {
		switch {
		case r < 0x80 || r >= 0xa0 && r <= 0xff:
			b.WriteByte(byte(r))
		case r > 0xffff:
			b.WriteString("??")
		case r == 'ā':
			b.WriteByte('a') // best fit
		default:
			b.WriteByte('?')
		}
	}
	return b.String()
}

// shiftJIS is what it makes of one on a Japanese machine: two bytes, the second of which may
// be a backslash.
func shiftJIS(s string) string {
	var b strings.Builder
	for _, r := range s {
		if r < 0x80 {
			b.WriteByte(byte(r))
		} else {
			b.WriteString("\x83\\")
		}
	}
	return b.String()
}

func escaped(path string) string {
	const digits = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(path) {
		if c := path[i]; c > ' ' && c < 0x7f && c != '%' && c != '?' && c != '#' {
			b.WriteByte(c)
		} else {
			b.WriteString("%" + string(digits[c>>4]) + string(digits[c&15]))
		}
	}
	return b.String()
}

func TestRestorePath(t *testing.T) {
	for _, c := range []struct{ name, script, info, uri, wantScript, wantInfo string }{
		{"lacking, repeated", "/app", "/app/??????", escaped("/app/Привет"), "/app", "/app/Привет"},
		{"lacking, right", "/app", "/??????", escaped("/app/Привет"), "/app", "/Привет"},
		{"in the code page", "/app", "/caf\xe9", escaped("/app/café"), "/app", "/café"},
		{"best fit", "/app", "/a", escaped("/app/ā"), "/app", "/ā"},
		{"not in the BMP", "/app", "/x??y", escaped("/app/x😀y"), "/app", "/x😀y"},
		{"not in the BMP, one mark", "/app", "/x?y", escaped("/app/x😀y"), "/app", "/x😀y"},
		{"two bytes each", "/app", "/\x83\\\x83\x65.html", escaped("/app/ソテ.html"), "/app", "/ソテ.html"},
		{"the script's name", "/?/a", "/?/a/?", escaped("/я/a/ю"), "/я/a", "/я/a/ю"},
		{"the script's name, right", "/?/a", "/?", escaped("/я/a/ю"), "/я/a", "/ю"},
		{"no PATH_INFO", "/?", "", escaped("/я"), "/я", ""},
		{"path=*", "/a/?", "/a/?", escaped("/a/я"), "/a/я", "/a/я"},
		{"no SCRIPT_NAME", "", "/?", escaped("/я"), "", "/я"},
		{"UTF-8 already", "/app", "/Привет", escaped("/app/Привет"), "/app", "/Привет"},
		{"UTF-8 in one of both", "/я", "/?", escaped("/я/ю"), "/я", "/ю"},
		{"resolved", "/app", "/?/", escaped("/b/../app//я/"), "/app", "/я/"},
		{"a question mark of the client", "/app", "/what?", escaped("/app/what?"), "/app", "/what?"},
		{"question marks of the client among them", "/app", "/???", escaped("/app/?я?"), "/app", "/?я?"},
		{"a query", "/app", "/?", escaped("/app/я") + "?/ю", "/app", "/я"},
		{"rewritten", "/app", "/?", escaped("/other/я"), "/app", "/?"},
		{"too short", "/app", "/?", escaped("/app/яяя"), "/app", "/?"},
		{"another letter", "/app", "/?x", escaped("/app/яy"), "/app", "/?x"},
		{"a slash is no character", "/app", "/a/b", escaped("/app/aяb"), "/app", "/a/b"},
		{"not UTF-8", "/app", "/\xe9", "/app/%E9", "/app", "/\xe9"},
		{"a NUL", "/app", "/?", "/app/%D1%8F%00", "/app", "/?"},
		{"a segment boundary", "/ap", "/p/?", escaped("/app/я"), "/ap", "/p/?"},
		{"too long", "/app", "/" + strings.Repeat("?", 20000), escaped("/app/" + strings.Repeat("я", 20000)), "/app", "/" + strings.Repeat("?", 20000)},
	} {
		env := cgi.NewEnviron("SCRIPT_NAME="+c.script, "PATH_INFO="+c.info, "REQUEST_URI="+c.uri)
		restorePath(env)
		if script, info := env.Get("SCRIPT_NAME"), env.Get("PATH_INFO"); script != c.wantScript || info != c.wantInfo {
			t.Errorf("%s: got %q, %q, want %q, %q", c.name, script, info, c.wantScript, c.wantInfo)
		}
		if env.Get("REQUEST_URI") != c.uri {
			t.Errorf("%s: REQUEST_URI is %q now", c.name, env.Get("REQUEST_URI"))
		}
	}
}

// FuzzRestorePath holds that a path comes back from any code page, and that no other path
// than one that resembles what was sent takes its place.
func FuzzRestorePath(f *testing.F) {
	f.Add("/я", "/x/ю")
	f.Add("/app", "/😀?")
	f.Add("", "/ソ//..")
	f.Fuzz(func(t *testing.T, script, info string) {
		whole := script + info
		if len(whole) > restorableBytes || !utf8.ValidString(whole) || strings.ContainsAny(whole, "\\\x00") ||
			script != "" && (script[0] != '/' || strings.HasSuffix(script, "/")) || info != "" && info[0] != '/' || whole == "" {
			return
		}
		for name, page := range map[string]func(string) string{"1252": windows1252, "932": shiftJIS, "utf-8": strings.Clone} {
			for _, repeated := range []bool{false, true} {
				sentScript, sentInfo, wantInfo := page(script), page(info), info
				if repeated {
					sentInfo, wantInfo = page(whole), whole
				} else if strings.HasPrefix(sentInfo+"/", sentScript+"/") && resembles(sentInfo, whole) {
					continue // nothing tells them apart
				}
				env := cgi.NewEnviron("SCRIPT_NAME="+sentScript, "PATH_INFO="+sentInfo, "REQUEST_URI="+escaped(whole))
				restorePath(env)
				if isASCII(whole) {
					script, wantInfo = sentScript, sentInfo
				}
				if env.Get("SCRIPT_NAME") != script || env.Get("PATH_INFO") != wantInfo {
					t.Errorf("%s: %q, %q sent as %q, %q came back as %q, %q", name, script, wantInfo, sentScript, sentInfo, env.Get("SCRIPT_NAME"), env.Get("PATH_INFO"))
				}
			}
		}
		env := cgi.NewEnviron("SCRIPT_NAME=/a", "PATH_INFO="+info, "REQUEST_URI="+escaped(script))
		restorePath(env)
		if got := env.Get("PATH_INFO"); !resembles(info, got) {
			t.Errorf("PATH_INFO %q became %q", info, got)
		}
	})
}
