package apps_test

import (
	"net/http"
	"testing"
)

// gitweb is a program in Perl behind a link, which starts git.
var gitweb = &application{
	name:     "gitweb",
	packages: "gitweb git",
	recipe:   true,
	like:     likePathInfo + "location /cgi-bin/static/ { alias /usr/share/gitweb/static/; }\n",
	prepare: func(t *testing.T) {
		shell(t, `export GIT_AUTHOR_NAME=Alice GIT_AUTHOR_EMAIL=alice@example.org GIT_COMMITTER_NAME=Alice GIT_COMMITTER_EMAIL=alice@example.org
export GIT_AUTHOR_DATE='2026-11-01 08:00:00 +0000' GIT_COMMITTER_DATE='2026-11-01 08:00:00 +0000'
git init -q -b main /srv/work; cd /srv/work
printf 'hello\n' >greeting.txt; mkdir 'a directory'; head -c 300000 /dev/zero >'a directory/ü.bin'
git add .; git commit -q -m 'The first commit'
printf 'hello, world\n' >greeting.txt; git commit -q -a -m 'A longer greeting'
git clone -q --bare /srv/work /var/lib/git/project.git; echo 'A project' >/var/lib/git/project.git/description
chown -R www-data /var/lib/git`)
	},
	visit: func(t *testing.T, c *client) {
		const program = "/cgi-bin/gitweb.cgi"
		c.get(program).want(http.StatusOK, "text/html", "project.git", "A project", "</html>")
		page := c.get(program+"?p=project.git;a=summary").want(http.StatusOK, "text/html", "The first commit", "A longer greeting")
		c.get("/cgi-bin/"+page.find(`href="(static/gitweb\.css)"`)).want(http.StatusOK, "text/css")
		c.get(program+"?p=project.git;a=commitdiff;h=main").want(http.StatusOK, "text/html", ",&nbsp;world")
		c.get(program+"/project.git/blob/main:/greeting.txt").want(http.StatusOK, "text/html", ",&nbsp;world")
		c.get(program+"/project.git/blob_plain/main:/a%20directory/%C3%BC.bin").want(http.StatusOK, "application/octet-stream")
		c.get(program+"?p=project.git;a=search;s=longer;st=commit").want(http.StatusOK, "text/html", "A longer greeting").lacks("The first commit")
		c.get(program+"?p=project.git;a=snapshot;h=main;sf=tgz").want(http.StatusOK, "application/x-gzip")
		c.get(program+"?p=project.git;a=rss").want(http.StatusOK, "application/rss+xml", "<rss")
		c.get(program+"?p=missing.git").want(http.StatusNotFound, "text/html", "404")
	},
	varies: []variation{
		{`\d+ (sec|min|hour|day|week|month|year)s? ago|right now`, "pages say how old something is"},
		{`<span id="generating_time"[^\n]*`, "pages say how long they took"},
	},
}

func TestGitweb(t *testing.T) { drive(t, gitweb) }
