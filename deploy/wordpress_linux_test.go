package deploy_test

import (
	"net/http"
	"os"
	"strings"
	"testing"
)

// TestPoolWordPress: php-cgi, kept by the gateway, under WordPress's own rules for nginx and under
// those of docs/applications.md.
func TestPoolWordPress(t *testing.T) {
	writePages(t, "1", map[string]string{
		"index.php":          `echo 'index ', $_SERVER['REQUEST_URI'], ' ', $_SERVER['QUERY_STRING'], ' ', $_SERVER['SCRIPT_NAME'], ' ', $_SERVER['PHP_SELF'];`,
		"wp-login.php":       `echo 'login ', $_POST['log'] ?? '', ' ', basename(__FILE__), ' ', $_SERVER['SCRIPT_NAME'];`,
		"wp-admin/index.php": `echo 'admin ', $_SERVER['REQUEST_URI'], ' ', $_SERVER['PHP_SELF'];`,
	})
	writeProgram(t, "/srv/site/1/public/wp-includes/style.css", "css", 0o644)
	writeProgram(t, "/etc/gatehouse/wordpress.toml", `fastcgi = "unix:/run/upstream/fastcgi.sock,mode=0666"
[[app]]
fastcgi_exec = "php-cgi"
root = "/srv/site/1/public"
index = "index.php"
user = "www-data"
`, 0o644)
	if err := os.MkdirAll("/run/upstream", 0o755); err != nil {
		t.Fatal(err)
	}
	startLogged(t, "wordpress", `exec gatehouse serve --config /etc/gatehouse/wordpress.toml 2>"$LOG"`, nil, "/run/upstream/fastcgi.sock")
	startNginx(t, "testdata/pool/wordpress.conf")
	for _, host := range []string{"localhost", "page"} {
		for _, x := range []struct{ path, body, want string }{
			{"/", "", "index /  /index.php /index.php"},
			{"/2026/11/a-post/?p=1&q=%C3%A9", "", "index /2026/11/a-post/?p=1&q=%C3%A9 p=1&q=%C3%A9 /index.php /index.php"},
			{"/wp-json/wp/v2/posts?page=2", "", "index /wp-json/wp/v2/posts?page=2 page=2 /index.php /index.php"},
			{"/wp-login.php", "log=alice", "login alice wp-login.php /wp-login.php"},
			{"/wp-admin/", "", "admin /wp-admin/ /wp-admin/index.php"},
			{"/wp-includes/style.css", "", "css"},
		} {
			method := "GET"
			if x.body != "" {
				method = "POST"
			}
			request, err := http.NewRequest(method, "http://localhost"+x.path, strings.NewReader(x.body))
			if err != nil {
				t.Fatal(err)
			}
			request.Host = host
			request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			if got := get(t, request); got.status != http.StatusOK || got.body != x.want {
				t.Errorf("%s, %s: %d %.200q, want %q", host, x.path, got.status, got.body, x.want)
			}
		}
	}
}
