package gatehouse

import (
	"fmt"
	"strings"

	"gatehouse/systemd"
)

// A Protocol is what is spoken on a socket.
type Protocol string

// The protocols of a gateway, by the names that descriptors have for them.
const (
	FastCGI Protocol = "fastcgi"
	SCGI    Protocol = "scgi"
	HTTP    Protocol = "http"
)

// ProtocolOf returns what to speak on an inherited descriptor. systemd passes
// descriptors in no order to rely on, so the name tells (FileDescriptorName=):
// "fastcgi", "scgi", "http", or one of these with a suffix, "fastcgi.site". Without a
// name, a listening socket is FastCGI and a connection SCGI. The error says what to
// write where the name does not tell, or that it is no stream socket.
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
	return "", fmt.Errorf("inherited %v: its name tells no protocol: write FileDescriptorName=fastcgi, scgi or http (or fastcgi.NAME)", d)
}

// isNamed reports whether somebody gave the descriptor a name. Without
// FileDescriptorName= systemd takes the name of the socket unit, or "connection"
// for one that it accepted.
func isNamed(d systemd.Descriptor) bool {
	switch d.Name {
	case "", "unknown", "stored", "connection":
		return false
	}
	return !strings.HasSuffix(d.Name, ".socket")
}
