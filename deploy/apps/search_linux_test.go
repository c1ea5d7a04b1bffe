package apps_test

import (
	"net/http"
	"testing"
)

// writePages writes what the two programs here search.
func writePages(t *testing.T) {
	t.Helper()
	for _, p := range []struct{ name, text string }{
		{"index.html", "<title>Index</title><a href=apple.html>1</a> <a href=pear.html>2</a> <a href=iron.html>3</a>"},
		{"apple.html", "<title>Apples</title><p>A fruit of the temperate zones: the pippin."},
		{"pear.html", "<title>Pears</title><p>Another fruit, too."},
		{"iron.html", "<title>Iron</title><p>This is a metal."},
	} {
		write(t, "/srv/pages/"+p.name, "<!DOCTYPE html>"+p.text, 0o644)
	}
	shell(t, "touch -d 2026-11-01 /srv/pages/*")
}

// namazu is a program in C.
var namazu = &application{
	name:     "Namazu",
	packages: "namazu2 namazu2-index-tools",
	static: `location /pages/ { root /srv; }
`,
	prepare: func(t *testing.T) {
		writePages(t)
		shell(t, "mkdir -p /var/lib/namazu/index; mknmz --output-dir=/var/lib/namazu/index --replace='s#/srv##' /srv/pages")
	},
	visit: func(t *testing.T, c *client) {
		const program = "/cgi-bin/namazu.cgi"
		c.get(program).want(http.StatusOK, "text/html", "<form")
		page := c.get(program+"?query=fruit&max=20&result=normal&sort=score").want(http.StatusOK, "text/html", "Apples", "Pears").lacks("Iron")
		c.get(page.find(`href="(/pages/[^"]*)"`)).want(http.StatusOK, "text/html", "fruit")
		c.get(program+"?query=fruit+and+pippin&max=1&whence=0").want(http.StatusOK, "text/html", "Apples").lacks("Pears")
		c.get(program+"?query=nothinglikeit").want(http.StatusOK, "text/html").lacks("Apples")
		c.get(program+"?query=%3Cscript%3E").want(http.StatusOK, "text/html").lacks("<script>")
	},
}

func TestNamazu(t *testing.T) { drive(t, namazu) }

// htdig is a program in C++.
var htdig = &application{
	name:     "htDig",
	packages: "htdig",
	static: `location /pages/ { root /srv; }
location /htdig/ { alias /usr/share/htdig/; }
`,
	prepare: func(t *testing.T) {
		writePages(t)
		edit(t, "/etc/htdig/htdig.conf", "http://www.htdig.org/", "http://localhost/pages/index.html\nlocal_urls: http://localhost/pages/=/srv/pages/\nlocal_urls_only: true\ntcp_max_retries: 1\ntcp_wait_time: 1", "${start_url}", "http://localhost/pages/")
		shell(t, "htdig -i; htpurge; htfuzzy endings synonyms; chmod -R a+rX /var/lib/htdig")
	},
	visit: func(t *testing.T, c *client) {
		const program = "/cgi-bin/htsearch"
		page := c.get(program+"?words=fruit").want(http.StatusOK, "text/html", "Apples", "Pears").lacks("Iron")
		c.get(page.find(`href="http://localhost(/pages/[a-z]+\.html)"`)).want(http.StatusOK, "text/html", "fruit")
		form := page.hidden()
		form.Set("words", "fruit pippin")
		form.Set("method", "and")
		form.Set("format", "builtin-short")
		c.post(program, form).want(http.StatusOK, "text/html", "Apples").lacks("Pears")
		c.get(program+"?words=nothinglikeit").want(http.StatusOK, "text/html", "No matches").lacks("Apples")
		c.get(program+"?words=fruit&matchesperpage=1&page=2").want(http.StatusOK, "text/html", "2")
	},
}

func TestHtDig(t *testing.T) { drive(t, htdig) }
