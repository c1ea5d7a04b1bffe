// Package deploy holds the configuration files that an administrator copies: a
// gatehouse.toml, what makes nginx, Apache, lighttpd and HAProxy pass requests on to it, and
// what Prometheus and Grafana need to watch it. A comment at the head of each file says where
// it goes and what to enable.
//
// The tests of this package start the servers that Debian ships with these very files; those
// of deploy/monitoring, Prometheus.
package deploy

import (
	"embed"
	"io/fs"
)

//go:embed gatehouse.toml nginx apache lighttpd haproxy iis prometheus
var files embed.FS

// Files returns the files as they were when the program was built. Their names are those
// of the folder deploy: gatehouse.toml, nginx/fastcgi.conf, apache/scgi.conf, and so on.
func Files() fs.FS { return files }
