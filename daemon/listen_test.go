package daemon

import (
	"net"
	"testing"

	"gatehouse/internal/testkit"
	"gatehouse/systemd"
)

func TestListenTCPInUse(t *testing.T) {
	l := testkit.Listen(t, "tcp")
	port := uint16(l.Addr().(*net.TCPAddr).Port)
	_, err := listenTCP(Address{Host: "127.0.0.1", Port: port})
	checkError(t, err, l.Addr().String()+" is in use by another process: stop it, or choose another port")
}

func TestListenTCPForeignAddress(t *testing.T) {
	_, err := listenTCP(Address{Host: "192.0.2.1"})
	checkError(t, err, "192.0.2.1:0: no network interface of this machine has that address: write one that it has, or 127.0.0.1, or :0 for all of them")
}

// TestMissingSocket: who starts gatehouse without its socket is told what to start, or what there
// is instead.
func TestMissingSocket(t *testing.T) {
	passed := func(names ...string) *inheritance {
		p := &inheritance{used: make(map[int]bool)}
		for i, name := range names {
			p.descriptors = append(p.descriptors, systemd.Descriptor{FD: 3 + i, Name: name})
		}
		return p
	}
	for _, c := range []struct {
		passed *inheritance
		want   string
	}{
		{passed(), "systemd:fastcgi: no socket was passed: only systemd passes one, of a socket unit with FileDescriptorName=fastcgi: start that unit, or write an address, such as unix:/run/gatehouse.sock"},
		{passed("admin", "blog.socket", "admin"), `systemd:fastcgi: systemd passed no socket of that name, only "admin", "blog.socket": write FileDescriptorName=fastcgi in its unit, and restart it`},
	} {
		if _, err := c.passed.sockets("fastcgi"); err == nil || err.Error() != c.want {
			t.Errorf("got %v\nwant %s", err, c.want)
		}
	}
}
