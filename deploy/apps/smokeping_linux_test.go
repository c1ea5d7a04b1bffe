package apps_test

import (
	"net/http"
	"testing"
)

// smokeping is Perl behind a shell script. It draws graphs into files that nginx serves.
var smokeping = &application{
	name:     "SmokePing",
	packages: "smokeping",
	static: `location /smokeping/ { alias /usr/share/smokeping/www/; }
`,
	prepare: func(t *testing.T) {
		const config = "/etc/smokeping/config.d/"
		edit(t, config+"General", "http://some.url/smokeping.cgi", "http://localhost/cgi-bin/smokeping.cgi")
		edit(t, config+"Database", "pings    = 20", "pings    = 3")
		// One round of pings, to this machine, makes the files that are drawn.
		shell(t, "mkdir -p /run/smokeping; smokeping --debug; chown -R www-data /var/lib/smokeping")
	},
	visit: func(t *testing.T, c *client) {
		const program = "/cgi-bin/smokeping.cgi"
		c.get(program).want(http.StatusOK, "text/html", "Network Latency Grapher", `href="?target=Local"`)
		c.get(program+"?target=Local").want(http.StatusOK, "text/html", "This host")
		page := c.get(program+"?target=Local.LocalMachine").want(http.StatusOK, "text/html", "This host")
		c.get("/cgi-bin/" + page.find(`(?i)src="(\.\./smokeping/images/Local/LocalMachine_last_10800\.png)"`)).wantImage("image/png")
		// The form that asks for a time, and the graph for which its program is called.
		zoom := page.hidden()
		zoom.Set("displaymode", "n")
		zoom.Set("start", "2026-11-01 08:00")
		zoom.Set("end", "2026-11-01 20:00")
		zoom.Set("target", "Local.LocalMachine")
		page = c.post(program, zoom).want(http.StatusOK, "text/html", "2026-11-01 08:00", "Navigator Graph")
		c.get("/cgi-bin/" + page.find(`(?i)id="zoom".* src="(\.\./smokeping/images/[^"]*)"`)).wantImage("image/png")
		c.get("/smokeping/css/smokeping-screen.css").want(http.StatusOK, "text/css")
		c.get(program+"?target=Local.Missing").want(http.StatusInternalServerError, "text/html", "Software error")
	},
	varies: []variation{
		{`start=\d{4}-\d\d-\d\d%20\d\d:\d\d`, "links have a time that is counted back from now"},
		httpDates, fileTags,
		{`(?s).PNG\r\n.*`, "graphs show the time, and what was measured"},
		{`__navcache/[0-9]+`, "the names of drawn files begin with the time"},
	},
}

func TestSmokePing(t *testing.T) { drive(t, smokeping) }
