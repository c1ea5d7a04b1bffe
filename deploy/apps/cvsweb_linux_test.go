package apps_test

import (
	"net/http"
	"testing"
)

// cvsweb is a program in Perl that starts rlog, cvs and diff.
var cvsweb = &application{
	name:     "CVSweb",
	packages: "cvsweb cvs",
	like:     likePathInfo,
	static: `location /cvsweb/ { alias /usr/share/cvsweb/; }
`,
	prepare: func(t *testing.T) {
		shell(t, `cvs -d /var/lib/cvs init; mkdir -p /var/lib/cvs/project/sub; cd /var/lib/cvs/project
printf 'hello\n' >greeting.txt
ci -q -d'2026/11/01 08:00:00' -walice -t-'A greeting' -m'The first commit' -l greeting.txt
printf 'hello, world\n' >greeting.txt
ci -q -d'2026/11/02 08:00:00' -wbob -m'A longer greeting' -u greeting.txt
head -c 200000 /dev/zero | tr '\0' x >sub/x.txt
ci -q -d'2026/11/01 08:00:00' -walice -t-'Much' -m'Much of it' -u sub/x.txt sub/x.txt,v
rm -f greeting.txt sub/x.txt; touch -d 2026-11-02 greeting.txt,v sub/x.txt,v; chown -R www-data /var/lib/cvs`)
	},
	visit: func(t *testing.T, c *client) {
		const program = "/cgi-bin/cvsweb"
		c.get(program+"/").want(http.StatusOK, "text/html", "project/")
		page := c.get(program+"/project/").want(http.StatusOK, "text/html", "greeting.txt", "A longer greeting")
		c.get(page.find(`src="(/cvsweb/icons/[a-z]+\.gif)"`)).wantImage("image/gif")
		c.get(page.find(`href="(/cvsweb/css/cvsweb\.css)"`)).want(http.StatusOK, "text/css")
		c.get(program+"/project/greeting.txt").want(http.StatusOK, "text/html", "The first commit", "A longer greeting", "alice", "bob")
		c.get(program+"/project/greeting.txt.diff?r1=1.1&r2=1.2&f=h").want(http.StatusOK, "text/html", "hello", "world")
		c.get(program+"/project/greeting.txt.diff?r1=1.1&r2=1.2&f=u").want(http.StatusOK, "text/", "+hello, world")
		c.get(program+"/~checkout~/project/greeting.txt?rev=1.1").want(http.StatusOK, "text/plain", "hello\n").lacks("world")
		c.get(program+"/project/greeting.txt?annotate=1.2").want(http.StatusOK, "text/html", "hello, world")
		c.get(program+"/project/sub/x.txt?rev=1.1&content-type=text%2Fplain").want(http.StatusOK, "text/plain", "xxxx")
		c.get(program+"/project/missing.txt").want(http.StatusNotFound, "text/html")
		c.get(program + "/project/../../../../etc/passwd").lacks("root:")
	},
	varies: []variation{
		httpDates, fileTags,
		{`\d+ (seconds?|minutes?|hours?|days?|weeks?|months?|years?)\b`, "pages say how old a revision is"},
		{`<input type="hidden" name="[a-z0-9]+" value="[^"]*" />`, "hidden fields are in the order of a hash of Perl"},
	},
}

func TestCvsweb(t *testing.T) { drive(t, cvsweb) }
