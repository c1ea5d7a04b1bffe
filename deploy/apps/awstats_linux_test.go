package apps_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// awstats is a large program in Perl that shows what is in a web server's log.
var awstats = &application{
	name:     "AWStats",
	packages: "awstats",
	static: `location /awstats-icon/ { alias /usr/share/awstats/icon/; }
`,
	prepare: func(t *testing.T) {
		var log strings.Builder
		// No two have the same number, whose order would be random.
		for n := range 50 {
			for i := range n {
				fmt.Fprintf(&log, "192.0.2.%[1]d - - [01/Nov/2026:08:%02[1]d:%02[2]d +0000] \"GET /page-%[1]d.html HTTP/1.1\" 200 1000 \"-\" \"Mozilla/5.0 (X11; Linux x86_64; rv:109.0) Gecko/20100101 Firefox/115.0\"\n", n, i)
			}
		}
		write(t, "/srv/awstats/access.log", log.String(), 0o644)
		write(t, "/etc/awstats/awstats.test.conf", `LogFile="/srv/awstats/access.log"
LogType=W
LogFormat=1
SiteDomain="statistics.example.org"
DNSLookup=0
DirData="/srv/awstats"
DirIcons="/awstats-icon"
AllowToUpdateStatsFromBrowser=1
AllowFullYearView=3
MaxRowsInHTMLOutput=2000
`, 0o644)
		shell(t, "chown -R www-data /srv/awstats")
	},
	visit: func(t *testing.T, c *client) {
		const program = "/cgi-bin/awstats.pl?config=test&month=11&year=2026"
		c.get(program+"&update=1&framename=mainright").want(http.StatusOK, "text/html", "statistics.example.org", "</html>")
		page := c.get(program+"&framename=mainright").want(http.StatusOK, "text/html", "</html>")
		c.get(page.find(`src="(/awstats-icon/[^"]*\.png)"`)).wantImage("image/png")
		c.get(program+"&output=urldetail").want(http.StatusOK, "text/html", "/page-1.html", "/page-49.html", "</html>")
		c.get(program+"&output=allhosts&hostfilter=192.0.2.4").want(http.StatusOK, "text/html", "192.0.2.49<", "</html>").lacks("192.0.2.3<")
		c.get("/cgi-bin/awstats.pl?config=missing").want(http.StatusOK, "text/html", "config")
	},
	varies: []variation{
		{`[A-Z][a-z]{2} [A-Z][a-z]{2} +\d+ \d\d:\d\d:\d\d 20\d\d`, "fields have times"},
		{`\d\d [A-Z][a-z]{2} 2\d{3} +(- +)?\d\d:\d\d(:\d\d)?`, "pages say when they were made"},
	},
}

func TestAWStats(t *testing.T) { drive(t, awstats) }
