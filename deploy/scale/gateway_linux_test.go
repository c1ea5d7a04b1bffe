package scale_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gatehouse/internal/testkit"
)

const (
	programs = "/srv/programs"
	state    = "/srv/state" // what the programs have done
)

// quick responds at once, hold when there is the file go.GATEWAY. Both say that they have
// begun, and which gateway runs them.
const (
	quick = `#!/bin/sh
echo "$QUERY_STRING" >>` + state + `/runs
printf 'Content-Type: text/plain\n\n%s %s\n' "$GATEWAY" "$QUERY_STRING"
`
	hold = `#!/bin/sh
echo "$QUERY_STRING" >>` + state + `/runs
case $QUERY_STRING in
streamed*) printf 'Content-Type: text/plain\n\n%s' "$GATEWAY" ;;
esac
: >` + state + `/"$QUERY_STRING.$GATEWAY"
until [ -e ` + state + `/go."$GATEWAY" ]; do sleep 0.02; done
case $QUERY_STRING in
streamed*) ;;
*) printf 'Content-Type: text/plain\n\n%s' "$GATEWAY" ;;
esac
printf ' %s\n' "$QUERY_STRING"
`
)

// gateway is what the machines have in common; the files for the web servers name ping and
// allow. The drain begins when the test says so, by a second signal.
const gateway = `%s = "%s"
allow = ["` + front + `"]
ping = "/ping"
%s
[[app]]
prefix = "/"
scripts = "` + programs + `"
env = { GATEWAY = %q }
`

// startGateway starts gatehouse on a host, with further keys, and waits until it listens.
func startGateway(t *testing.T, h host, protocol, port, keys string) *server {
	t.Helper()
	config := filepath.Join("/srv", h.name+".toml")
	write(t, config, fmt.Sprintf(gateway, protocol, h.address+":"+port, keys, h.name), 0o644)
	cmd := h.command("/usr/bin/setpriv", "--reuid=www-data", "--regid=www-data", "--clear-groups",
		os.Getenv(binaryVariable), "serve", "--config", config)
	cmd.Env = []string{"PATH=/usr/bin:/bin"}
	s := start(t, "gateway "+h.name, cmd)
	testkit.Until(t, s.name+" listens", func() bool { return strings.Contains(s.log.String(), `"listening"`) })
	return s
}
