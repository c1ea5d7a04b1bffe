package scale_test

import (
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"gatehouse/internal/testkit"
)

// startNginx starts Debian's nginx with nginx/gateways.conf as its only site.
func startNginx(t *testing.T) {
	t.Helper()
	content, err := os.ReadFile("../nginx/gateways.conf")
	if err != nil {
		t.Fatal(err)
	}
	write(t, "/etc/nginx/conf.d/gateways.conf", string(content), 0o644)
	s := start(t, "nginx", exec.Command("/usr/sbin/nginx", "-g", "daemon off;"))
	testkit.Until(t, "nginx listens", func() bool {
		conn, err := net.Dial("tcp", front+":80")
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
	t.Cleanup(func() {
		s.signal(t, syscall.SIGTERM) // which ends its workers, too
		s.ends(t)
		if log, err := os.ReadFile("/var/log/nginx/error.log"); err == nil && t.Failed() {
			t.Logf("nginx's error log:\n%s", log)
		}
	})
}

// TestNginxDrain: a gateway behind nginx needs no drain_delay. It accepts what has come,
// refuses the rest, which nginx sends elsewhere, and ends; no request fails.
func TestNginxDrain(t *testing.T) {
	if !apart(t) {
		return
	}
	drained := gateways[0]
	var first *server
	for _, g := range gateways {
		s := startGateway(t, g, "scgi", "4000", "")
		if g == drained {
			first = s
		}
	}
	startNginx(t)
	l := startLoad(t, 4)
	l.by(t, drained)
	there, elsewhere := holdOn(t, drained, 2)

	first.signal(t, syscall.SIGTERM)
	testkit.Until(t, "the drain", func() bool { return strings.Contains(first.log.String(), `"draining"`) })
	l.more(t, 100)
	release(t, gateways...)
	for _, o := range append(received(t, there), received(t, elsewhere)...) {
		if !o.ok() {
			t.Errorf("a request in flight: %v", o)
		}
	}
	first.ends(t)
	l.more(t, 100)

	startGateway(t, drained, "scgi", "4000", "")
	l.by(t, drained)
	outcomes := l.end()
	for _, o := range failed(outcomes) {
		t.Errorf("%v", o)
	}
	t.Logf("%d requests", len(outcomes))
	onceEach(t)
}
