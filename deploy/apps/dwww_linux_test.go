package apps_test

import (
	"net/http"
	"testing"
)

// dwww is a program in Perl that hands over to others, which show what is installed.
var dwww = &application{
	name:     "dwww",
	packages: "dwww",
	like:     likePathInfo,
	static: `location /dwww/ { alias /var/www/dwww/; }
`,
	prepare: func(t *testing.T) {
		// What the installation begins in the background, and the daily job does.
		shell(t, "/usr/sbin/dwww-build; /usr/sbin/dwww-build-menu")
	},
	visit: func(t *testing.T, c *client) {
		const program = "/cgi-bin/dwww"
		c.get("/dwww/").want(http.StatusOK, "text/html", "/cgi-bin/dwww")
		c.get(program).follow().want(http.StatusOK, "text/html")
		c.get(program+"?type=runman&location=ls/1").want(http.StatusOK, "text/html", "list directory contents")
		page := c.get(program+"?search=dwww").want(http.StatusOK, "text/html", "dwww")
		c.get(page.find(`(?i)href="(/cgi-bin/dwww[^"?]*copyright[^"]*|/cgi-bin/dwww/usr/share/doc/dwww[^"]*)"`)).want(http.StatusOK, "text/html", "dwww")
		c.get(program+"/usr/share/doc/dwww/").want(http.StatusOK, "text/html", "copyright")
		c.get(program+"/usr/share/doc/dwww/copyright").want(http.StatusOK, "text/html", "GNU General Public License")
		c.get(program + "/etc/passwd?type=file").lacks("root:")
		c.get(program+"?type=file&location=%22").want(http.StatusOK, "text/html", "Invalid characters in input")
	},
	varies: []variation{
		httpDates, fileTags,
		{`version [0-9.]+ on [A-Z][a-z]{2} [A-Z][a-z]{2} +\d+ \d\d:\d\d:\d\d [A-Z]+ \d{4}`, "pages show the time"},
	},
}

func TestDwww(t *testing.T) { drive(t, dwww) }
