package apps_test

import (
	"net/http"
	"testing"
)

// info2www is a program in Perl that shows manuals of GNU.
var info2www = &application{
	name:     "info2www",
	packages: "info2www install-info",
	static: `location /info2www/ { alias /var/lib/info2www/; }
`,
	visit: func(t *testing.T, c *client) {
		const program = "/cgi-bin/info2www"
		c.get(program).want(http.StatusOK, "text/html", "info2www")
		c.get(program+"?(sed)").want(http.StatusOK, "text/html", "stream editor")
		page := c.get(program+"?(sed)Introduction").want(http.StatusOK, "text/html", "Introduction")
		c.get(program+page.find(`HREF="/cgi-bin/info2www(\?[^"]*)"`)).want(http.StatusOK, "text/html")
		c.get(page.find(`SRC="(/info2www/next\.png)"`)).wantImage("image/png")
		c.get(program+"?(missing)Top").want(http.StatusOK, "text/html")
		c.get(program+"?(../../../etc/passwd)").want(http.StatusOK, "text/html").lacks("root:")
	},
}

func TestInfo2www(t *testing.T) { drive(t, info2www) }
