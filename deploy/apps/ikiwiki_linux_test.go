package apps_test

import (
	"net/http"
	"testing"
)

// ikiwiki is a program in C that becomes its owner and starts Perl. It makes pages that nginx
// serves.
var ikiwiki = &application{
	name:     "ikiwiki",
	packages: "ikiwiki libcgi-pm-perl libcgi-formbuilder-perl libcgi-session-perl libauthen-passphrase-perl gcc libc6-dev",
	static: `location /wiki/ { alias /srv/wiki/html/; index index.html; }
`,
	prepare: func(t *testing.T) {
		write(t, "/srv/wiki/wiki.setup", `# IkiWiki::Setup::Yaml - YAML formatted setup file
wikiname: Kitchen
adminemail: root@localhost
adminuser: [alice]
srcdir: /srv/wiki/src
destdir: /srv/wiki/html
url: http://localhost/wiki/
cgiurl: http://localhost/cgi-bin/ikiwiki.cgi
cgi_wrapper: /srv/wiki/ikiwiki.cgi
cgi_wrappermode: 06755
rcs: ''
add_plugins: [passwordauth]
disable_plugins: [openid, emailauth]
`, 0o644)
		write(t, "/srv/wiki/src/index.mdwn", "Welcome to the [[recipe]].\n", 0o644)
		shell(t, `useradd -d /srv/wiki wiki; chown -R wiki /srv/wiki
su wiki -s /bin/sh -c 'ikiwiki --setup /srv/wiki/wiki.setup'
mkdir -p /usr/lib/cgi-bin; cp -p /srv/wiki/ikiwiki.cgi /usr/lib/cgi-bin/`)
	},
	visit: func(t *testing.T, c *client) {
		const program = "/cgi-bin/ikiwiki.cgi"
		c.get("/wiki/").want(http.StatusOK, "text/html", "Welcome")
		c.get(program+"?do=create&page=recipe&from=index").want(http.StatusOK, "text/html", "signin")
		login := c.get(program+"?do=signin").want(http.StatusOK, "text/html", "Register").hidden()
		login.Set("_submit", "Register")
		account := c.post(program, login).want(http.StatusOK, "text/html", "confirm_password").hidden()
		for name, value := range map[string]string{"name": "alice", "password": "secret", "confirm_password": "secret", "email": "alice@example.org", "_submit": "Create Account"} {
			account.Set(name, value)
		}
		login = c.post(program, account).want(http.StatusOK, "text/html", "Login").hidden()
		login.Set("name", "alice")
		login.Set("password", "wrong")
		login.Set("_submit", "Login")
		c.post(program, login).want(http.StatusOK, "text/html", "signin")
		login.Set("password", "secret")
		c.post(program, login)
		edit := c.get(program+"?do=create&page=recipe&from=index").want(http.StatusOK, "text/html", "editcontent").hidden()
		for name, value := range map[string]string{"page": "recipe", "type": "mdwn", "editcontent": "# Soup\n\nAll *ümlauts* and a link to [[index]].\n", "_submit": "Preview"} {
			edit.Set(name, value)
		}
		c.post(program, edit).want(http.StatusOK, "text/html", "<em>ümlauts</em>")
		edit.Set("_submit", "Save Page")
		c.post(program, edit).follow().want(http.StatusOK, "text/html", "<h1>Soup</h1>", "<em>ümlauts</em>")
		c.get("/wiki/").want(http.StatusOK, "text/html", `<a href="./recipe/">`)
		c.get(program+"?do=missing").want(http.StatusOK, "text/html", "Error")
	},
	varies: []variation{
		httpDates, fileTags,
		{`[A-Z][a-z]{2} [A-Z][a-z]{2} +\d+ \d\d:\d\d:\d\d \d{4}`, "pages show when they were edited"},
		{`ikiwiki_session_Kitchen=[0-9a-f]+|name="sid" type="hidden" value="[0-9a-f]+"`, "cookies are random, and forms repeat them"},
	},
}

func TestIkiwiki(t *testing.T) { drive(t, ikiwiki) }
