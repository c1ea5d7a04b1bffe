package apps_test

import (
	"net/http"
	"os/exec"
	"testing"
)

// munin are programs in Perl for CGI and FastCGI, which make pages and graphs of what a node has
// told.
var munin = &application{
	name:     "Munin",
	packages: "munin munin-node libcgi-fast-perl",
	recipe:   true,
	like: `location ^~ /munin/static/ { alias /var/cache/munin/www/static/; }
location ~ ^(/munin)(/.*)?$ {
	include fastcgi_params;
	fastcgi_param SCRIPT_FILENAME /usr/lib/munin/cgi/munin-cgi-html;
	fastcgi_param SCRIPT_NAME $1;
	fastcgi_param PATH_INFO $2;
	fastcgi_pass unix:/run/fcgiwrap.socket;
}
location ~ ^(/munin-cgi/munin-cgi-graph)(/.*)?$ {
	include fastcgi_params;
	fastcgi_param SCRIPT_FILENAME /usr/lib/munin/cgi/munin-cgi-graph;
	fastcgi_param SCRIPT_NAME $1;
	fastcgi_param PATH_INFO $2;
	fastcgi_pass unix:/run/fcgiwrap.socket;
}
`,
	prepare: func(t *testing.T) {
		write(t, "/etc/munin/munin-conf.d/cgi.conf", "graph_strategy cgi\nhtml_strategy cgi\n", 0o644)
		shell(t, "rm -f /etc/munin/plugins/*; mkdir -p /run/munin; chown munin /run/munin")
		write(t, "/etc/munin/plugins/kettle", `#!/bin/sh
if [ "$1" = config ]; then
	echo graph_title Temperature of the kettle
	echo graph_category kitchen
	echo water.label water
	echo water.warning 50
	exit 0
fi
echo water.value 99
`, 0o755)
		start(t, exec.Command("/usr/sbin/munin-node", "--foreground"), "127.0.0.1:4949")
		shell(t, "su munin -s /bin/sh -c '/usr/share/munin/munin-update && /usr/share/munin/munin-limits --force'; cp -r /etc/munin/static /var/cache/munin/www/")
	},
	visit: func(t *testing.T, c *client) {
		const graph = "/munin-cgi/munin-cgi-graph/localdomain/localhost.localdomain/kettle"
		c.get("/munin/").want(http.StatusOK, "text/html", "localhost.localdomain", "kitchen")
		c.get("/munin/localdomain/localhost.localdomain/").want(http.StatusOK, "text/html", "Temperature of the kettle")
		c.get("/munin/localdomain/localhost.localdomain/kettle.html").want(http.StatusOK, "text/html", "daily graph", graph+"-day.png")
		c.get("/munin/problems.html").want(http.StatusOK, "text/html", "kettle")
		c.get("/munin/static/style-new.css").want(http.StatusOK, "text/css")
		c.get(graph + "-day.png").wantImage("image/png")
		c.get(graph + "-week.png?size_x=200&size_y=100").wantImage("image/png")
		c.get("/munin-cgi/munin-cgi-graph/localdomain/localhost.localdomain/missing-day.png").want(http.StatusNotFound, "image/png")
		c.get(graph+"-day.png?a=%22;ls").want(http.StatusNotFound, "image/png")
	},
	varies: []variation{
		httpDates, fileTags,
		{`(?s).PNG\r\n.*`, "graphs show the time"},
		{`X-Munin-Pid: \d+|X-Graph-Duration: [0-9.]+`, "fields have the number of the process, and how long it took"},
		{`\d{4}-\d\d-\d\d[ T]?(at )?\d\d:\d\d:\d\d[^<]*`, "pages show the time"},
		{`\b1[0-9]{9}\b`, "links have times"},
	},
}

func TestMunin(t *testing.T) { drive(t, munin) }
