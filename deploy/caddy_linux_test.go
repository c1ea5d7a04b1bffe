package deploy_test

import (
	"os/exec"
	"strings"
	"testing"
)

// startCaddy starts Debian's Caddy as its unit does, as user caddy, with the named file as
// its whole configuration.
func startCaddy(t *testing.T, file string) {
	t.Helper()
	const config = "/etc/caddy/Caddyfile"
	install(t, file, config, 0o644)
	// caddy adapt says so of a file that caddy fmt would change.
	if out := run(t, "/usr/bin/caddy", "validate", "--config", config); strings.Contains(out, "not formatted") {
		t.Errorf("%s: %s", file, out)
	}
	cmd := exec.Command("/usr/bin/setpriv", "--reuid=caddy", "--regid=caddy", "--init-groups", "--inh-caps=+net_bind_service", "--ambient-caps=+net_bind_service",
		"/usr/bin/caddy", "run", "--config", config)
	cmd.Env = []string{"PATH=/usr/bin:/bin", "HOME=/var/lib/caddy"}
	cmd.Dir = "/"
	startServer(t, "caddy", cmd, nil, "127.0.0.1:80")
}
