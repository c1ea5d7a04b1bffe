package apps_test

import (
	"net/http"
	"testing"
)

// man2html is a program in C, beside a shell script and one of awk.
var man2html = &application{
	name:     "man2html",
	packages: "man2html manpages",
	prepare: func(t *testing.T) {
		shell(t, "mandb -q -c || mandb -c; ls -la /var/cache/man2html; chown -R www-data /var/cache/man2html")
	},
	visit: func(t *testing.T, c *client) {
		const programs = "/cgi-bin/man/"
		c.get(programs+"man2html").want(http.StatusOK, "text/html", "<FORM")
		page := c.get(programs+"man2html?1+intro").want(http.StatusOK, "text/html", "introduction to user commands")
		c.get(page.find(`HREF="(/cgi-bin/man/man2html\?[^"]*)"`)).want(http.StatusOK, "text/html")
		c.get(programs+"man2html?query=ascii&section=7").want(http.StatusOK, "text/html", "ASCII")
		c.get(programs+"man2html?7+signal").want(http.StatusOK, "text/html", "SIGCHLD")
		c.get(programs+"mansec?query=7").want(http.StatusOK, "text/html", "Section 7", "man2html?7+ascii")
		c.get(programs+"manwhatis?query=7").want(http.StatusOK, "text/html", "ascii", "ASCII character set")
		c.get(programs+"mansec").want(http.StatusBadRequest, "text/html", "No section number")
		c.get(programs+"man2html?1+missing").want(http.StatusNotFound, "text/html", "Man page not found")
		c.get(programs+"man2html?query=/etc/passwd").want(http.StatusForbidden, "text/html").lacks("root:")
	},
	varies: []variation{
		httpDates,
		{`Time: [^\n<]*`, "pages say when they were made"},
	},
}

func TestMan2HTML(t *testing.T) { drive(t, man2html) }
