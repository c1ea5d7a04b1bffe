package apps_test

import (
	"net/http"
	"testing"
)

// linkchecker is a program in Perl that asks web servers itself, and prints while it does.
var linkchecker = &application{
	name:     "W3C Link Checker",
	packages: "w3c-linkchecker",
	recipe:   true,
	like: `location = /checklink {
	include fastcgi_params;
	fastcgi_param SCRIPT_FILENAME /usr/bin/checklink;
	fastcgi_pass unix:/run/fcgiwrap.socket;
}
`,
	static: `location /pages/ { root /srv; }
location /checklink/ { alias /usr/share/w3c-linkchecker/; }
`,
	prepare: func(t *testing.T) {
		edit(t, "/etc/w3c/checklink.conf", "Allow_Private_IPs = 0", "Allow_Private_IPs = 1")
		writePages(t)
		// One link each: it checks several in an order that is random.
		write(t, "/srv/pages/broken.html", "<!DOCTYPE html><title>Broken</title><a href=missing.html>1</a>", 0o644)
		write(t, "/srv/pages/anchor.html", "<!DOCTYPE html><title>Anchor</title><a href=pear.html#nowhere>1</a>", 0o644)
	},
	visit: func(t *testing.T, c *client) {
		c.get("/checklink").want(http.StatusOK, "text/html", "Link Checker", "<form")
		c.get("/checklink/docs/linkchecker.css").want(http.StatusOK, "text/css")
		c.get("/checklink?uri=http%3A%2F%2Flocalhost%2Fpages%2Fbroken.html&hide_type=all&depth=&check=Check").
			want(http.StatusOK, "text/html", "missing.html", "404", "</html>")
		c.get("/checklink?uri=http%3A%2F%2Flocalhost%2Fpages%2Fanchor.html&summary=on&check=Check").
			want(http.StatusOK, "text/html", "nowhere", "</html>")
		c.get("/checklink?uri=file%3A%2F%2F%2Fetc%2Fpasswd&check=Check").want(http.StatusOK, "text/html").lacks("root:")
	},
	varies: []variation{
		{`\d+(\.\d+)? ?(s|seconds)\b`, "pages say how long something took"},
		httpDates,
	},
}

func TestLinkChecker(t *testing.T) { drive(t, linkchecker) }
