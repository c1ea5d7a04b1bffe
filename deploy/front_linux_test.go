package deploy_test

import "testing"

// front is a web server with one file as its configuration.
type front struct {
	name  string
	start func(t *testing.T, file string)
	file  string
}

// The web servers in all the ways that reach CGI programs, git, and a Go
// handler.
var (
	programFronts = []front{
		{"nginx FastCGI", startNginx, "nginx/fastcgi.conf"},
		{"nginx SCGI", startNginx, "nginx/scgi.conf"},
		{"Apache FastCGI", startApache, "apache/fastcgi.conf"},
		{"Apache FastCGI SetHandler", startApache, "apache/fastcgi-sethandler.conf"},
		{"lighttpd FastCGI", startLighttpd, "lighttpd/fastcgi.conf"},
		{"lighttpd SCGI", startLighttpd, "lighttpd/scgi.conf"},
		{"Caddy FastCGI", startCaddy, "caddy/fastcgi.Caddyfile"},
		{"Apache SCGI", startApache, "apache/scgi.conf"},
	}
	// Without mod_proxy_scgi, which holds the beginning of an answer back.
	streamingFronts = programFronts[:7]
	// Without Apache and lighttpd, which read an answer to its end, whoever waits
	// for it, and Caddy, which notices only when it has something to send.
	leavingFronts = programFronts[:2]

	gitFronts = []front{
		{"nginx FastCGI", startNginx, "nginx/git.conf"},
		{"nginx FastCGI unbuffered", startNginx, "nginx/git-unbuffered.conf"},
		{"nginx SCGI", startNginx, "nginx/git-scgi.conf"},
		{"Apache FastCGI", startApache, "apache/fastcgi.conf"},
		{"Apache FastCGI SetHandler", startApache, "apache/fastcgi-sethandler.conf"},
		{"Apache SCGI", startApache, "apache/scgi.conf"},
		{"Apache mod_cgid", startApache, "apache/cgi.conf"},
		{"Apache mod_cgi", startApachePrefork, "apache/cgi.conf"},
		{"lighttpd FastCGI", startLighttpd, "lighttpd/fastcgi.conf"},
		{"lighttpd SCGI", startLighttpd, "lighttpd/scgi.conf"},
		{"Caddy FastCGI", startCaddy, "caddy/fastcgi.Caddyfile"},
		{"HAProxy FastCGI", startHAProxy, "haproxy/fastcgi.cfg"},
	}
	applicationFronts = []front{
		{"nginx FastCGI", startNginx, "nginx/go-application.conf"},
		{"nginx SCGI", startNginx, "nginx/go-application-scgi.conf"},
		{"Apache FastCGI", startApache, "apache/go-application.conf"},
		{"Apache SCGI", startApache, "apache/go-application-scgi.conf"},
		{"Apache mod_fcgid", startFcgid, "apache/go-application-fcgid.conf"},
		{"lighttpd FastCGI", startLighttpd, "lighttpd/go-application.conf"},
		{"lighttpd SCGI", startLighttpd, "lighttpd/go-application-scgi.conf"},
		{"Caddy FastCGI", startCaddy, "caddy/go-application.Caddyfile"},
		{"Caddy HTTP", startCaddy, "caddy/go-application-http.Caddyfile"},
		{"HAProxy FastCGI", startHAProxy, "haproxy/go-application.cfg"},
	}
	siteFronts = []front{
		{"nginx", startNginx, "nginx/site.conf"},
		{"Apache", startApache, "apache/site.conf"},
		{"lighttpd", startLighttpd, "lighttpd/site.conf"},
		{"HAProxy", startHAProxySite, "haproxy/site.cfg"},
		{"Caddy", startCaddy, "caddy/site.Caddyfile"},
	}
)

// through runs test once behind each of the fronts.
func through(t *testing.T, fronts []front, test func(t *testing.T, f front)) {
	t.Helper()
	for _, f := range fronts {
		t.Run(f.name, func(t *testing.T) {
			f.start(t, f.file)
			test(t, f)
		})
	}
}
