package apps_test

import (
	"net/http"
	"net/url"
	"os/exec"
	"strings"
	"testing"

	"gatehouse/internal/testkit"
)

// nagios are programs in C, behind a password, beside the daemon that carries out what they
// write into its named pipe.
var nagios = &application{
	name:     "Nagios",
	packages: "nagios4-cgi nagios4-core",
	recipe:   true,
	like: `location /cgi-bin/nagios4/ {
	auth_basic Nagios;
	auth_basic_user_file /etc/nginx/nagios.htpasswd;
	root /usr/lib;
	include fastcgi_params;
	fastcgi_param AUTH_TYPE Basic;
	fastcgi_param SCRIPT_FILENAME /usr/lib$fastcgi_script_name;
	fastcgi_pass unix:/run/fcgiwrap.socket;
}
location /nagios4/stylesheets/ { alias /etc/nagios4/stylesheets/; }
location /nagios4/ { alias /usr/share/nagios4/htdocs/; }
`,
	prepare: func(t *testing.T) {
		const users = "/etc/nginx/nagios.htpasswd"
		write(t, users, "nagiosadmin:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=\nbob:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=\n", 0o644)
		edit(t, "/etc/nagios4/cgi.cfg", "use_authentication=0", "use_authentication=1")
		// It runs no checks by itself: the results come through its pages.
		edit(t, "/etc/nagios4/nagios.cfg",
			"execute_service_checks=1", "execute_service_checks=0",
			"execute_host_checks=1", "execute_host_checks=0",
			"status_update_interval=10", "status_update_interval=1")
		// As Debian's manual says: the web server may write to the named pipe.
		shell(t, "chown nagios:www-data /var/lib/nagios4/rw; chmod 2710 /var/lib/nagios4/rw; chmod 711 /var/lib/nagios4; mkdir -p /run/nagios4; chown nagios /run/nagios4")
		start(t, exec.Command("/usr/sbin/nagios4", "/etc/nagios4/nagios.cfg"))
		testkit.Until(t, "the daemon reads its pipe", func() bool {
			return exec.Command("test", "-p", "/var/lib/nagios4/rw/nagios.cmd", "-a", "-s", "/var/lib/nagios4/status.dat").Run() == nil
		})
	},
	visit: func(t *testing.T, c *client) {
		const programs = "/cgi-bin/nagios4/"
		c.get(programs+"status.cgi?host=all").want(http.StatusUnauthorized, "text/html")
		c.user, c.password = "nagiosadmin", "secret"
		c.get("/nagios4/trends.html").want(http.StatusOK, "text/html")
		c.get("/nagios4/stylesheets/common.css").want(http.StatusOK, "text/css")
		c.get(programs+"status.cgi?host=all").want(http.StatusOK, "text/html", "localhost", "HTTP", "Swap Usage", "PENDING")
		c.get(programs+"tac.cgi").want(http.StatusOK, "text/html", "Tactical Monitoring Overview")
		c.get(programs+"config.cgi?type=hosts").want(http.StatusOK, "text/html", "localhost")
		c.get(programs+"objectjson.cgi?query=hostlist").want(http.StatusOK, "application/json", `"localhost"`)
		c.get(programs + "statusmap.cgi?host=all&createimage").wantImage("image/png")

		// A result of a check, and a word about it, as forms.
		form := c.get(programs+"cmd.cgi?cmd_typ=30&host=localhost&service=HTTP").want(http.StatusOK, "text/html", "passive check result").hidden()
		for name, value := range map[string]string{"plugin_state": "2", "plugin_output": "it is on fire, ümlaut & more", "performance_data": "", "btnSubmit": "Commit"} {
			form.Set(name, value)
		}
		form.Set("host", "localhost")
		form.Set("service", "HTTP")
		c.post(programs+"cmd.cgi", form).want(http.StatusOK, "text/html", "successfully submitted")
		c.wait("the daemon has the result", programs+"statusjson.cgi?query=service&hostname=localhost&servicedescription=HTTP", `"has_been_checked": true`)
		c.get(programs+"status.cgi?host=all").want(http.StatusOK, "text/html", "it is on fire", "CRITICAL")

		c.user = "bob"
		c.get(programs+"status.cgi?host=all").want(http.StatusOK, "text/html").lacks("it is on fire")
		c.post(programs+"cmd.cgi", url.Values{"cmd_typ": {"33"}, "cmd_mod": {"2"}, "host": {"localhost"}, "com_author": {"bob"}, "com_data": {"no"}, "btnSubmit": {"Commit"}}).
			want(http.StatusOK, "text/html").lacks("successfully submitted")
		if log := read(t, "/var/log/nagios4/nagios.log"); strings.Count(log, "EXTERNAL COMMAND") != 1 {
			t.Errorf("the daemon has not got one command:\n%s", log)
		}
	},
	varies: []variation{
		httpDates,
		{`(Mon|Tue|Wed|Thu|Fri|Sat|Sun) [A-Z][a-z]{2} +\d+ \d\d:\d\d:\d\d [A-Z]+ \d{4}`, "pages show the time"},
		{`\d\d-\d\d-\d{4} \d\d:\d\d:\d\d`, "pages show the time of checks"},
		{`\d+d +\d+h +\d+m +\d+s\+?`, "pages show how long something is so"},
		{`\b1[0-9]{9}(000)?\b`, "JSON has times"},
		{`nagFormId' value='[0-9a-f]+'|NagFormId=[0-9a-f]+`, "forms have a random token, which a cookie repeats"},
		{`"(latency|execution_time)": [0-9.]+`, "JSON has how long checks took"},
		{`\d+\.\d+ (%|sec)|\d+(\.\d+)? */ *\d+(\.\d+)?`, "pages show how long checks took"},
	},
}

func TestNagios(t *testing.T) { drive(t, nagios) }
