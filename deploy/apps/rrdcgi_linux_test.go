package apps_test

import (
	"net/http"
	"testing"
)

// rrdcgi is the interpreter of pages that hold graphs, here of values that are always the same.
var rrdcgi = &application{
	name:     "rrdcgi",
	packages: "rrdtool",
	static: `location /graphs/ { alias /srv/graphs/; }
`,
	prepare: func(t *testing.T) {
		shell(t, `mkdir -p /srv/graphs; chown www-data /srv/graphs; cd /srv
rrdtool create load.rrd --start 1793520000 --step 60 DS:load:GAUGE:120:0:U RRA:AVERAGE:0.5:1:100
i=1; while [ $i -le 60 ]; do rrdtool update load.rrd $((1793520000 + 60 * i)):$((i % 7)); i=$((i + 1)); done`)
		write(t, "/usr/lib/cgi-bin/load.cgi", `#!/usr/bin/rrdcgi
<html><head><title>Load</title></head><body>
<RRD::GOODFOR -1>
<h1>Load of <RRD::CV host></h1>
<p>Agent: <RRD::GETENV HTTP_USER_AGENT>
<form><input name="host"></form>
<RRD::GRAPH /srv/graphs/load.png --imginfo '<img src="/graphs/%s" width="%lu" height="%lu">'
	--start 1793520000 --end 1793523600 --width 400 --height 100 --no-legend
	DEF:load=/srv/load.rrd:load:AVERAGE LINE2:load#ff0000 PRINT:load:MAX:"Most %3.1lf">
<p><RRD::PRINT 0>
</body></html>
`, 0o755)
	},
	visit: func(t *testing.T, c *client) {
		page := c.get("/cgi-bin/load.cgi?host=web-1").want(http.StatusOK, "text/html", "Load of web-1", "Agent: Go-http-client/1.1", "Most 6.0")
		c.get(page.find(`img src="(/graphs/[^"]*)"`)).wantImage("image/png")
		c.get("/cgi-bin/load.cgi?host=%3Cscript%3E").want(http.StatusOK, "text/html", "Load of").lacks("<script>")
	},
	varies: []variation{httpDates, fileTags},
}

func TestRRDcgi(t *testing.T) { drive(t, rrdcgi) }
