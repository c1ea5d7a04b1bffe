package apps_test

import (
	"crypto/md5"
	"fmt"
	"net/http"
	"net/url"
	"testing"
)

// php is php-cgi as the interpreter of pages that are no programs.
var php = &application{
	name:     "PHP",
	packages: "php-cgi",
	recipe:   true,
	like: `root /srv/www;
location ~ ^/site/.*\.php$ {
	try_files $uri =404;
	include fastcgi_params;
	fastcgi_param SCRIPT_FILENAME /usr/bin/php-cgi;
	fastcgi_param PATH_INFO $uri;
	fastcgi_param PATH_TRANSLATED $document_root$uri;
	fastcgi_param REDIRECT_URL $uri;
	fastcgi_pass unix:/run/fcgiwrap.socket;
}
`,
	prepare: func(t *testing.T) {
		text, err := testdata.ReadFile("testdata/page.php")
		if err != nil {
			t.Fatal(err)
		}
		write(t, "/srv/www/site/page.php", string(text), 0o644)
		write(t, "/srv/www/site/style.css", "body { color: #333 }\n", 0o644)
		shell(t, "touch -d 2026-11-01 /srv/www/site/*")
	},
	visit: func(t *testing.T, c *client) {
		const page = "/site/page.php"
		c.get(page).want(http.StatusOK, "text/html", "Visit 1 of /site/page.php by cgi-fcgi, GET.", "/srv/www/site/page.php")
		c.post(page, url.Values{"text": {"a & b <i>ü</i>"}}).want(http.StatusOK, "text/html", "Visit 2", "You wrote: a &amp; b &lt;i&gt;ü&lt;/i&gt;.")
		c.get(page+"?go=1").follow().want(http.StatusOK, "text/html", "Visit 4", "query: arrived=1.")
		file := make([]byte, 1_500_000)
		c.upload(page, url.Values{"text": {"x"}}, "file", "zeros ü.bin", file).
			want(http.StatusOK, "text/html", fmt.Sprintf("Got zeros ü.bin: %x, 1500000 bytes.", md5.Sum(file)), "Visit 5")
		c.get(page+"?missing=1").want(http.StatusNotFound, "text/html", "Visit 6")
		c.get("/site/style.css").want(http.StatusOK, "text/css", "color")
		c.get("/site/other.php").want(http.StatusNotFound, "text/html")
	},
	varies: []variation{
		{`PHPSESSID=[0-9a-z]+`, "the name of a session is random"},
	},
}

func TestPHP(t *testing.T) { drive(t, php) }
