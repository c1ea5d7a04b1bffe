package apps_test

import (
	"net/http"
	"net/url"
	"testing"
)

// cgipm is a script that stands on Perl's CGI.pm.
var cgipm = &application{
	name:     "CGI.pm",
	packages: "libcgi-pm-perl",
	like:     likePathInfo,
	prepare:  func(t *testing.T) { installProgram(t, "cgipm", "form.pl") },
	visit: func(t *testing.T, c *client) {
		const program = "/cgi-bin/form.pl"
		c.get(program).want(http.StatusOK, "text/html", "A form", "Visit 1, at /, by GET", `type="checkbox"`)
		c.post(program, url.Values{"name": {"Jürgen <b>"}, "colour": {"red", "blue"}}).
			want(http.StatusOK, "text/html", "Hello, Jürgen &lt;b&gt; likes red and blue", "Visit 2", `value="Jürgen &lt;b&gt;"`)
		c.get(program+"?name=A;colour=blue").want(http.StatusOK, "text/html", "Hello, A likes blue", "Visit 3")
		c.get(program+"?go=1").follow().want(http.StatusOK, "text/html", "Visit 4, at /arrived")
		c.upload(program, url.Values{}, "file", "räder.bin", make([]byte, 1<<20)).
			want(http.StatusOK, "text/plain", "räder.bin: 1048576 bytes, application/octet-stream\n")
		c.get(program+"?die=1").want(http.StatusBadGateway, "text/")
	},
	differs: []difference{
		{"GET /cgi-bin/form.pl?die=1", byName, "the page is the gateway's, and not nginx's"},
		{"GET /cgi-bin/form.pl?die=1", byConfiguration, "the page is the gateway's, and not nginx's"},
	},
}

func TestCGIPM(t *testing.T) { drive(t, cgipm) }
