package daemon

import (
	"net"
	"testing"

	"gatehouse/internal/testkit"
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
