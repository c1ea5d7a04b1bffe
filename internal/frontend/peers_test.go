package frontend

import (
	"net"
	"net/netip"
	"strings"
	"testing"
)

// A peerConn is a connection of which only the addresses matter.
type peerConn struct {
	net.Conn
	local, remote net.Addr
}

func (c peerConn) LocalAddr() net.Addr  { return c.local }
func (c peerConn) RemoteAddr() net.Addr { return c.remote }

func TestPeersRefuse(t *testing.T) {
	tcp := func(s string) net.Conn {
		return peerConn{nil, net.TCPAddrFromAddrPort(netip.MustParseAddrPort("192.0.2.1:9000")), net.TCPAddrFromAddrPort(netip.MustParseAddrPort(s))}
	}
	unix := peerConn{nil, &net.UnixAddr{Name: "/run/s", Net: "unix"}, &net.UnixAddr{Net: "unix"}}
	allow := []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("fe80::/10")}
	servers := []netip.Addr{netip.MustParseAddr("192.0.2.7"), netip.MustParseAddr("::1")}
	for _, tt := range []struct {
		name string
		p    Peers
		c    net.Conn
		err  string
	}{
		{"no list", Peers{}, tcp("198.51.100.1:1"), ""},
		{"no list, unix", Peers{}, unix, ""},
		{"allowed", Peers{Allow: allow}, tcp("192.0.2.9:1"), ""},
		{"allowed, mapped", Peers{Allow: allow}, tcp("[::ffff:192.0.2.9]:1"), ""},
		{"allowed, with a zone", Peers{Allow: allow}, tcp("[fe80::1%eth0]:1"), ""},
		{"not allowed", Peers{Allow: allow}, tcp("198.51.100.1:1"), "its address is not allowed (allow)"},
		{"allow does not concern unix", Peers{Allow: allow}, unix, ""},
		{"web server", Peers{WebServers: servers}, tcp("192.0.2.7:1"), ""},
		{"web server, mapped", Peers{WebServers: servers}, tcp("[::ffff:192.0.2.7]:1"), ""},
		{"web server, IPv6", Peers{WebServers: servers}, tcp("[::1]:1"), ""},
		{"no web server", Peers{WebServers: servers}, tcp("192.0.2.8:1"), "FCGI_WEB_SERVER_ADDRS"},
		{"web server, unix", Peers{WebServers: servers}, unix, "FCGI_WEB_SERVER_ADDRS"},
		{"both lists", Peers{Allow: allow, WebServers: servers}, tcp("[::1]:1"), "(allow)"},
		{"users do not concern TCP", Peers{Users: []uint32{1}}, tcp("192.0.2.8:1"), ""},
		{"unknown user", Peers{Users: []uint32{1}}, unix, "its user cannot be determined (allow_users): "},
	} {
		key, err := tt.p.Refuse(tt.c)
		if err != nil && !strings.Contains(err.Error(), key) {
			t.Errorf("%s: the key %q is not in %q", tt.name, key, err)
		}
		if tt.err == "" && err != nil || tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.err)
		}
	}
}
