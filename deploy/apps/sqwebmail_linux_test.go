package apps_test

import (
	"net/http"
	"os"
	"testing"

	"gatehouse/internal/testkit"
)

// sqwebmail is a binary in C behind a link, which passes its standard streams on to a daemon that
// answers.
var sqwebmail = &application{
	name:     "SqWebMail",
	packages: "sqwebmail",
	recipe:   true,
	like:     likePathInfo,
	static: `location /sqwebmail/ { alias /usr/share/sqwebmail/; }
`,
	prepare: func(t *testing.T) {
		shell(t, `useradd -m -s /bin/sh alice; echo alice:secret | chpasswd
su alice -c 'maildirmake.courier ~/Maildir || maildirmake ~/Maildir'
printf 'From: bob@example.org\nTo: alice@localhost\nSubject: A greeting\nDate: Sun, 01 Nov 2026 08:00:00 +0000\nMIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\n\nHello, \303\274mlaut.\n' >/home/alice/Maildir/cur/1793520000.M1P1.debian:2,
chown alice /home/alice/Maildir/cur/*
/etc/init.d/courier-authdaemon start; /etc/init.d/sqwebmail start`)
		testkit.Until(t, "the daemon listens", func() bool {
			_, err := os.Stat("/run/courier/sqwebmail.sock")
			return err == nil
		})
	},
	visit: func(t *testing.T, c *client) {
		const program = "/cgi-bin/sqwebmail"
		c.get(program).follow().want(http.StatusOK, "text/html", "Enter without frame support")
		page := c.get(program+"?noframes=1").want(http.StatusOK, "text/html", "<form", "password")
		login := page.hidden()
		login.Set("username", "alice")
		login.Set("password", "wrong")
		login.Set("do.login", "Login")
		c.post(program, login).want(http.StatusOK, "text/html", "<form")
		login.Set("password", "secret")
		page = c.post(program, login)
		for page.Status/100 == 3 {
			page = page.follow()
		}
		session := page.find(`src="http://localhost(/cgi-bin/sqwebmail/[^"]*)\?folder=INBOX&amp;form=folders"`)
		c.get(session+"?folder=INBOX&form=folders").want(http.StatusOK, "text/html", "INBOX")
		c.get(session+"?folder=INBOX&form=folder").want(http.StatusOK, "text/html", "greeting")
		c.get(session+"?folder=INBOX&form=readmsg&pos=0").want(http.StatusOK, "text/html", "Hello, ümlaut.")
		c.get("/sqwebmail/sqwebmail.css").want(http.StatusOK, "text/css")
	},
	varies: []variation{
		{`/[0-9A-F]{32}/[0-9]{10}`, "a session has a random name, and the time"},
		{`(msg)?token(=|" value=")[0-9]{10}-[0-9]+`, "forms have a token of the time"},
	},
}

func TestSqWebMail(t *testing.T) { drive(t, sqwebmail) }
