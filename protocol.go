package gatehouse

import (
	"fmt"
	"strings"

	"gatehouse/systemd"
)

// A Protocol is the protocol of a socket.
type Protocol string

// The protocols, by their names in FileDescriptorName=.
const (
	FastCGI Protocol = "fastcgi"
	SCGI    Protocol = "scgi"
	HTTP    Protocol = "http"
)

// ProtocolOf returns the protocol of an inherited descriptor. The order in which systemd
// passes descriptors is not reliable, so the name decides (FileDescriptorName=): it is
// "fastcgi", "scgi" or "http", or one of these with a suffix, such as "fastcgi.site".
// Without a name, a listening socket is FastCGI and a connection SCGI. It returns an
// error for any other name, and for a descriptor that is not a stream socket.
func ProtocolOf(d systemd.Descriptor) (Protocol, error) {
	if d.Socket.State != systemd.Listening && d.Socket.State != systemd.Connected {
		return "", fmt.Errorf("inherited %v is %v: only stream sockets can be served (ListenStream=)", d, d.Socket.State)
	}
	for _, p := range []Protocol{FastCGI, SCGI, HTTP} {
		if d.Name == string(p) || strings.HasPrefix(d.Name, string(p)+".") {
			return p, nil
		}
	}
	if !isNamed(d) {
		if d.Socket.State == systemd.Connected {
			return SCGI, nil
		}
		return FastCGI, nil
	}
	return "", fmt.Errorf("inherited %v: its name selects no protocol: write FileDescriptorName=fastcgi, scgi or http (or fastcgi.NAME)", d)
}

// isNamed reports whether FileDescriptorName= was set. Without it, systemd passes the
// name of the socket unit, or "connection" for a connection that it accepted.
func isNamed(d systemd.Descriptor) bool {
	switch d.Name {
	case "", "unknown", "stored", "connection":
		return false
	}
	return !strings.HasSuffix(d.Name, ".socket")
}
