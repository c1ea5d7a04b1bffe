package apps_test

import (
	"embed"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

//go:embed testdata
var testdata embed.FS

// installProgram puts a file of testdata into Debian's cgi-bin.
func installProgram(t *testing.T, file, name string) {
	t.Helper()
	text, err := testdata.ReadFile("testdata/" + file)
	if err != nil {
		t.Fatal(err)
	}
	write(t, "/usr/lib/cgi-bin/"+name, string(text), 0o755)
}

// interpreters are languages in which there is a script that does the same: a form, an upload, a
// cookie, a redirect, and a page that is missing.
var interpreters = []string{"bash", "python", "tcl", "lua", "ruby"}

var languages = &application{
	name:     "Scripts",
	packages: "bash python3 tcl tcllib lua5.4 ruby",
	like:     likePathInfo,
	prepare: func(t *testing.T) {
		for _, language := range interpreters {
			installProgram(t, "languages/"+language, language)
		}
	},
	visit: func(t *testing.T, c *client) {
		for _, language := range interpreters {
			c.forget()
			program := "/cgi-bin/" + language
			c.get(program).want(http.StatusOK, "text/html", "<form", "Path: none; cookie: none.")
			const text = `a & b <i>ü</i>`
			c.post(program, url.Values{"text": {text}}).want(http.StatusOK, "text/html", "You wrote: a &amp; b &lt;i&gt;ü&lt;/i&gt;.").lacks("<i>")
			c.get(program+"?go").follow().want(http.StatusOK, "text/html", "Path: /arrived; cookie: last=14.")
			file := strings.Repeat("0123456789", 30_000)
			c.upload(program+"?upload", url.Values{"text": {"x"}}, "file", "digits.bin", []byte(file)).
				want(http.StatusOK, "text/plain", "got 300000 bytes: 01234567890123456789\n")
			c.get(program+"?missing").want(http.StatusNotFound, "text/plain", "no such page\n")
			c.send("HEAD", program, nil).want(http.StatusOK, "text/html")
		}
	},
}

func TestScripts(t *testing.T) { drive(t, languages) }
