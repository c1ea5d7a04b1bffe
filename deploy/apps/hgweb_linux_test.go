package apps_test

import (
	"net/http"
	"testing"
)

// hgweb is Mercurial's example of a program in Python. Its client sends bodies of unknown length,
// and reads from one response for long.
var hgweb = &application{
	name:     "hgweb",
	packages: "mercurial",
	like:     likePathInfo,
	prepare: func(t *testing.T) {
		write(t, "/etc/mercurial/hgweb.config", "[paths]\n/ = /srv/hg/*\n[web]\nallow-push = *\npush_ssl = false\nallow-archive = gz\n", 0o644)
		shell(t, `mkdir -p /usr/lib/cgi-bin; sed 's#/path/to/repo/or/config#/etc/mercurial/hgweb.config#' /usr/share/doc/mercurial-common/examples/hgweb.cgi >/usr/lib/cgi-bin/hgweb.cgi
chmod +x /usr/lib/cgi-bin/hgweb.cgi
mkdir /srv/hg; hg init /srv/hg/project; cd /srv/hg/project
echo 'hello' >greeting.txt; mkdir 'a directory'; head -c 300000 /dev/zero >'a directory/zeros.bin'; hg add -q
hg commit -q -u alice -d '2026-11-01 08:00 UTC' -m 'The first commit'
chown -R www-data /srv/hg`)
	},
	visit: func(t *testing.T, c *client) {
		const program = "/cgi-bin/hgweb.cgi"
		c.get(program).want(http.StatusOK, "text/html", "project")
		page := c.get(program+"/project").want(http.StatusOK, "text/html", "The first commit")
		c.get(page.find(`href="(/cgi-bin/hgweb\.cgi/project/static/[^"]*\.css)"`)).want(http.StatusOK, "text/css")
		// A clone, a commit, and a push that is larger than any buffer.
		shell(t, `hg clone -q http://localhost/cgi-bin/hgweb.cgi/project /srv/work; cd /srv/work
awk 'BEGIN { srand(1); for (i = 0; i < 100000; i++) printf "%d\n", 1e9 * rand() }' >numbers; echo 'hello, world' >greeting.txt; hg add -q
hg commit -q -u bob -d '2026-11-01 09:00 UTC' -m 'Numbers'; hg push -q; hg -R /srv/hg/project verify -q`)
		c.get(program+"/project/shortlog").want(http.StatusOK, "text/html", "Numbers", "The first commit")
		c.get(program+"/project/rev/tip").want(http.StatusOK, "text/html", "hello, world")
		c.get(program+"/project/raw-file/tip/greeting.txt").want(http.StatusOK, "application/binary", "hello, world\n")
		c.get(program+"/project/raw-file/tip/a%20directory/zeros.bin").want(http.StatusOK, "application/binary")
		c.get(program+"/project/log?rev=Numbers").want(http.StatusOK, "text/html", "Numbers").lacks("The first commit")
		c.get(program+"/project/archive/tip.tar.gz").want(http.StatusOK, "application/x-gzip")
		c.get(program+"/project/file/tip/missing").want(http.StatusNotFound, "text/html")
		c.get(program+"/missing").want(http.StatusNotFound, "text/html")
	},
	varies: []variation{
		{`\d+ (second|minute|hour|day|week|month|year)s? ago`, "pages say how old something is"},
		{`\d{10}\.\d+|Etag: [^\n]*|[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} 2026 \d\d:\d\d:\d\d \+0000`, "a repository has the time of its last change"},
	},
}

func TestHgweb(t *testing.T) { drive(t, hgweb) }
