package apps_test

import (
	"net/http"
	"net/url"
	"os/exec"
	"testing"
)

// nut are programs in C that show an uninterruptible power supply, and set it. The one here is a
// file that NUT's driver dummy-ups reads.
var nut = &application{
	name:     "NUT",
	packages: "nut-cgi nut-server",
	prepare: func(t *testing.T) {
		for name, text := range map[string]string{
			"nut.conf":    "MODE=standalone\n",
			"ups.conf":    "[rack]\ndriver = dummy-ups\nport = rack.dev\ndesc = \"The rack\"\n",
			"rack.dev":    "ups.status: OL\nups.mfr: Example\nups.model: Model 1000\nups.load: 42\nbattery.charge: 87\ninput.voltage: 229.5\noutput.voltage: 230.1\ninput.frequency: 50.0\ninput.transfer.low: 190\n",
			"upsd.conf":   "LISTEN 127.0.0.1 3493\n",
			"upsd.users":  "[alice]\npassword = secret\nactions = SET\ninstcmds = ALL\n",
			"hosts.conf":  "MONITOR rack@localhost \"The rack\"\n",
			"upsset.conf": "I_HAVE_SECURED_MY_CGI_DIRECTORY\n",
		} {
			write(t, "/etc/nut/"+name, text, 0o644)
		}
		shell(t, "mkdir -p /run/nut; chown nut:nut /run/nut; chmod 770 /run/nut")
		start(t, exec.Command("/lib/nut/dummy-ups", "-D", "-a", "rack"), "/run/nut/dummy-ups-rack")
		start(t, exec.Command("/sbin/upsd", "-D"), "127.0.0.1:3493")
	},
	visit: func(t *testing.T, c *client) {
		const programs = "/cgi-bin/nut/"
		page := c.wait("the driver is known", programs+"upsstats.cgi", "Model 1000")
		page.want(http.StatusOK, "text/html", "The rack", "87", "42")
		c.get(programs+"upsstats.cgi?host=rack@localhost").want(http.StatusOK, "text/html", "Model 1000", "upsimage.cgi")
		c.get(programs + "upsimage.cgi?host=rack@localhost&display=battcap").wantImage("image/png")
		c.get(programs+"upsstats.cgi?host=missing@localhost").want(http.StatusOK, "text/html", "Access")

		// The form that logs in, the list, the settings, and a command.
		c.get(programs+"upsset.cgi").want(http.StatusOK, "text/html", "PASSWORD")
		login := url.Values{"username": {"alice"}, "password": {"secret"}, "function": {"pickups"}}
		c.post(programs+"upsset.cgi", login).want(http.StatusOK, "text/html", "rack@localhost")
		login.Set("function", "showsettings")
		login.Set("monups", "rack@localhost")
		c.post(programs+"upsset.cgi", login).want(http.StatusOK, "text/html", "Model 1000")
		c.get(programs + "missing.cgi")
	},
	varies: []variation{
		{`(Mon|Tue|Wed|Thu|Fri|Sat|Sun) [A-Z][a-z]{2} +\d+ \d\d:\d\d:\d\d [A-Z]+ \d{4}`, "pages show the time"},
	},
	differs: []difference{
		{"GET /cgi-bin/nut/missing.cgi", byName, "the gateway's error page ends its line with LF"},
		{"GET /cgi-bin/nut/missing.cgi", byConfiguration, "a program that is missing is 404, and not 403"},
	},
}

func TestNUT(t *testing.T) { drive(t, nut) }
