package apps_test

import (
	"net/http"
	"testing"
)

// omega is a program in C++ that searches what omindex has indexed, here three pages.
var omega = &application{
	name:     "Omega",
	packages: "xapian-omega",
	static: `location /pages/ { root /srv; }
`,
	prepare: func(t *testing.T) {
		// In order: documents have the numbers in which they are found.
		for _, p := range []struct{ name, text string }{
			{"apple.html", "<title>Apples</title><p>A fruit of the temperate zones: the pippin."},
			{"pear.html", "<title>Pears</title><p>A fruit, too."},
			{"iron.html", "<title>Iron</title><p>A metal, ümlaut."},
		} {
			write(t, "/srv/pages/"+p.name, "<!DOCTYPE html><meta charset=utf-8>"+p.text, 0o644)
		}
		shell(t, "touch -d 2026-11-01 /srv/pages/*; omindex --db /var/lib/xapian-omega/data/default --url /pages /srv/pages; chmod -R a+rX /var/lib/xapian-omega; chown www-data /var/log/xapian-omega || mkdir -m 777 /var/log/xapian-omega")
	},
	visit: func(t *testing.T, c *client) {
		const program = "/cgi-bin/omega/omega"
		c.get(program).want(http.StatusOK, "text/html", "<form")
		page := c.get(program+"?P=fruit&DEFAULTOP=or").want(http.StatusOK, "text/html", "Apples", "Pears").lacks("Iron")
		c.get(page.find(`href="(/pages/[^"]*)"`)).want(http.StatusOK, "text/html", "fruit")
		c.get(program+"?P=fruit+pippin&DEFAULTOP=and").want(http.StatusOK, "text/html", "Apples").lacks("Pears")
		c.get(program+"?P=%C3%BCmlaut").want(http.StatusOK, "text/html", "Iron").lacks("Apples")
		form := page.hidden()
		form.Set("P", "metal")
		c.post(program, form).want(http.StatusOK, "text/html", "Iron").lacks("Apples")
		c.get(program+"?P=fruit&FMT=xml").want(http.StatusOK, "application/xml", "<hits", "Apples")
		c.get(program+"?P=nothinglikeit").want(http.StatusOK, "text/html").lacks("Apples")
	},
	varies: []variation{
		{`\d+\.\d+ seconds|time="[0-9.]+"`, "pages say how long the search took"},
		httpDates,
	},
}

func TestOmega(t *testing.T) { drive(t, omega) }
