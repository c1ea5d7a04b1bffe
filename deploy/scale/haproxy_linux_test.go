package scale_test

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"gatehouse/internal/testkit"
)

// haproxy is a running HAProxy.
type haproxy struct {
	*server
	syslog *testkit.Log // what it sends to /dev/log
}

// startHAProxy starts Debian's HAProxy with the file appended to Debian's configuration, as
// the file says. Its log comes to the test.
func startHAProxy(t *testing.T, change func(string) string) *haproxy {
	t.Helper()
	const config = "/run/haproxy.cfg"
	var text strings.Builder
	for _, path := range []string{"/etc/haproxy/haproxy.cfg", "../haproxy/gateways.cfg"} {
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		text.Write(content)
		text.WriteString("\n")
	}
	write(t, config, strings.ReplaceAll(change(text.String()), "log /dev/log", "log 127.0.0.1:514"), 0o644)
	h := &haproxy{syslog: new(testkit.Log)}
	conn, err := net.ListenPacket("udp", "127.0.0.1:514")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		b := make([]byte, 1<<16)
		for {
			n, _, err := conn.ReadFrom(b)
			if err != nil {
				return
			}
			fmt.Fprintf(h.syslog, "%s\n", bytes.TrimSpace(b[:n]))
		}
	}()
	t.Cleanup(func() {
		conn.Close()
		<-done
		if t.Failed() {
			var said []string
			for line := range strings.Lines(h.syslog.String()) {
				if !strings.Contains(line, " 200 ") {
					said = append(said, line)
				}
			}
			t.Logf("HAProxy's log, but for status 200:\n%s", strings.Join(said, ""))
		}
	})
	h.server = start(t, "haproxy", exec.Command("/usr/sbin/haproxy", "-db", "-f", config))
	for _, g := range gateways {
		h.await(t, g, "UP")
	}
	return h
}

// unchanged is the file as it is.
func unchanged(s string) string { return s }

// status is what HAProxy knows about a gateway: UP, DOWN, and so on.
func (h *haproxy) status(t *testing.T, g host) string {
	t.Helper()
	conn, err := net.Dial("unix", "/run/haproxy/admin.sock")
	if err != nil {
		return ""
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "show stat\n"); err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(conn).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range rows {
		if row[0] == "gateways" && row[1] == g.name {
			for i, name := range rows[0] {
				if name == "status" {
					return row[i]
				}
			}
		}
	}
	t.Fatalf("HAProxy knows no gateway %s", g.name)
	return ""
}

func (h *haproxy) await(t *testing.T, g host, status string) {
	t.Helper()
	testkit.Until(t, "gateway "+g.name+" is "+status, func() bool { return h.status(t, g) == status })
}

// logs waits until HAProxy has logged text: its log comes on a way of its own.
func (h *haproxy) logs(t *testing.T, text string) {
	t.Helper()
	testkit.Until(t, "HAProxy logs "+text, func() bool { return strings.Contains(h.syslog.String(), text) })
}

const whileDraining = `drain_delay = "10m"`

// TestDrain: a gateway that is to end, while requests come and while it has requests, gets no
// further ones, finishes those, and ends. No request fails, and none runs twice.
func TestDrain(t *testing.T) {
	if !apart(t) {
		return
	}
	drained := gateways[0]
	var first *server
	for _, g := range gateways {
		s := startGateway(t, g, "fastcgi", "9000", whileDraining)
		if g == drained {
			first = s
		}
	}
	h := startHAProxy(t, unchanged)
	l := startLoad(t, 4)
	l.by(t, drained)
	there, elsewhere := holdOn(t, drained, 2)

	first.signal(t, syscall.SIGTERM)
	h.await(t, drained, "DOWN")
	h.logs(t, "Server gateways/a is DOWN, reason: Layer7 wrong status, code: 503")
	first.signal(t, syscall.SIGTERM) // drain_delay has passed
	testkit.Until(t, "the drain", func() bool { return strings.Contains(first.log.String(), "draining before drain_delay has passed") })
	l.more(t, 100)
	release(t, gateways...)
	for _, o := range append(received(t, there), received(t, elsewhere)...) {
		if !o.ok() {
			t.Errorf("a request in flight: %v", o)
		}
	}
	first.ends(t)
	l.more(t, 100)

	startGateway(t, drained, "fastcgi", "9000", whileDraining)
	l.by(t, drained)
	outcomes := l.end()
	for _, o := range failed(outcomes) {
		t.Errorf("%v", o)
	}
	t.Logf("%d requests", len(outcomes))
	onceEach(t)
}

// TestCut: when the machine of a gateway vanishes from the network, what was in flight on it
// fails, visibly, and nothing else does. It is used again when it is back.
func TestCut(t *testing.T) {
	if !apart(t) {
		return
	}
	lost := gateways[1]
	for _, g := range gateways {
		startGateway(t, g, "fastcgi", "9000", "")
	}
	h := startHAProxy(t, unchanged)
	l := startLoad(t, 4)
	l.by(t, lost)
	there, elsewhere := holdOn(t, lost, 2)

	lost.cut(t)
	bound := lost.connections(t, "9000")
	h.await(t, lost, "DOWN")
	h.logs(t, "Server gateways/b is DOWN, reason: Layer4 ")
	release(t, gateways[0], gateways[2])
	for _, o := range received(t, elsewhere) {
		if !o.ok() {
			t.Errorf("a request on another gateway: %v", o)
		}
	}
	cutOff := received(t, there)
	for _, o := range cutOff {
		switch {
		case strings.HasPrefix(o.id, "whole") && (o.status != 502 || o.err != nil):
			t.Errorf("a request that was cut off before its response: %v", o)
		case strings.HasPrefix(o.id, "streamed") && (o.status != 200 || o.err == nil):
			t.Errorf("a response that was cut off: %v", o)
		}
	}
	l.more(t, 100)

	lost.mend(t)
	release(t, lost)
	h.await(t, lost, "UP")
	l.by(t, lost)
	outcomes := l.end()
	cutOff = append(cutOff, failed(outcomes)...)
	if len(cutOff) > bound {
		t.Errorf("%d requests failed; %d connections were on the gateway", len(cutOff), bound)
	}
	for _, o := range cutOff {
		if o.wrong != "" || o.status == 200 && o.err == nil {
			t.Errorf("a wrong response: %v", o)
		}
		// Behind another response HAProxy wants the client to try again, and says nothing.
		if o.first || o.status != 0 {
			testkit.Until(t, fmt.Sprintf("HAProxy logs that it failed: %v", o), func() bool {
				return reported(h.syslog.String(), lost, o.id)
			})
		}
	}
	t.Logf("%d requests, of which %d failed; %d connections were on the gateway", len(outcomes)+len(there)+len(elsewhere), len(cutOff), bound)
	onceEach(t)
}

// reported reports whether HAProxy's log has a line that the gateway closed the connection of
// a request before its response, or in it: a termination state that begins with S.
func reported(lines string, h host, id string) bool {
	for line := range strings.Lines(lines) {
		if strings.Contains(line, "?"+id+" ") && strings.Contains(line, " gateways/"+h.name+" ") {
			for _, word := range strings.Fields(line) {
				if word == "SH--" || word == "SD--" {
					return true
				}
			}
		}
	}
	return false
}

// TestStranger: a machine that is not on the list is refused, and the log says so.
func TestStranger(t *testing.T) {
	if !apart(t) {
		return
	}
	s := startGateway(t, gateways[0], "fastcgi", "9000", `scgi = "`+gateways[0].address+`:4000"`)
	for protocol, port := range map[string]string{"--fastcgi": "9000", "--scgi": "4000"} {
		args := []string{"request", protocol, gateways[0].address + ":" + port, "/ping"}
		if out, err := exec.Command(os.Getenv(binaryVariable), args...).CombinedOutput(); err != nil {
			t.Errorf("%s from the web server's machine: %v\n%s", protocol, err, out)
		}
		if out, err := stranger.command(os.Getenv(binaryVariable), args...).CombinedOutput(); err == nil {
			t.Errorf("%s from elsewhere: a response: %s", protocol, out)
		}
		refusal := `"peer refused","listener":"` + gateways[0].address + ":" + port + `","peer":"` + stranger.address + ":"
		testkit.Until(t, "a line about it", func() bool { return strings.Contains(s.log.String(), refusal) })
	}
}

// TestGetValues: the health check that asks for limits finds the gateway, and misses it.
func TestGetValues(t *testing.T) {
	if !apart(t) {
		return
	}
	var first *server
	for _, g := range gateways {
		s := startGateway(t, g, "fastcgi", "9000", "")
		if g == gateways[0] {
			first = s
		}
	}
	h := startHAProxy(t, func(s string) string {
		for _, line := range []string{"option httpchk", "http-check send", "http-check expect"} {
			s = strings.ReplaceAll(s, "\t"+line, "\t#"+line)
		}
		return strings.ReplaceAll(strings.ReplaceAll(s, "#option tcp-check", "option tcp-check"), "#tcp-check ", "tcp-check ")
	})
	first.signal(t, syscall.SIGSTOP)
	h.await(t, gateways[0], "DOWN")
	first.signal(t, syscall.SIGCONT)
	h.await(t, gateways[0], "UP")
}
