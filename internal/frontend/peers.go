package frontend

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
)

// Peers says who may connect. The zero value allows everybody.
type Peers struct {
	// Allow lists the TCP peers that may connect; empty means all.
	Allow []netip.Prefix

	// WebServers lists the addresses of the web server (FCGI_WEB_SERVER_ADDRS,
	// FastCGI 1.0 § 3.2); empty means all. If it is not empty, peers that do not use TCP
	// are refused, too.
	WebServers []netip.Addr

	// Users lists the ids of the users whose processes may connect to a unix socket;
	// empty means all. The process that called connect(2) counts (SO_PEERCRED). Root is
	// refused unless it is listed. This works on Linux only.
	Users []uint32
}

// Check returns an error if this system cannot identify the peers.
func (p *Peers) Check() error {
	if len(p.Users) > 0 && !KnowsUsers {
		return errors.New("this system cannot identify the users of unix sockets (allow_users)")
	}
	return nil
}

// Refuse returns why the peer of c may not connect, and what says so: the key of a list. If it
// may, the error is nil.
func (p *Peers) Refuse(c net.Conn) (key string, err error) {
	if len(p.Allow) == 0 && len(p.WebServers) == 0 && len(p.Users) == 0 {
		return "", nil
	}
	tcp, isTCP := c.RemoteAddr().(*net.TCPAddr)
	var ip netip.Addr
	if isTCP {
		ip = tcp.AddrPort().Addr().Unmap().WithZone("")
	}
	switch {
	case isTCP && len(p.Allow) > 0 && !slices.ContainsFunc(p.Allow, func(n netip.Prefix) bool { return n.Contains(ip) }):
		return "allow", errors.New("its address is not allowed (allow)")
	case isTCP && len(p.WebServers) > 0 && !slices.Contains(p.WebServers, ip):
		return "FCGI_WEB_SERVER_ADDRS", errors.New("its address is not that of a web server (FCGI_WEB_SERVER_ADDRS)")
	case !isTCP && len(p.WebServers) > 0:
		return "FCGI_WEB_SERVER_ADDRS", errors.New("it has no address of a web server (FCGI_WEB_SERVER_ADDRS)")
	case len(p.Users) > 0 && c.LocalAddr().Network() == "unix":
		return "allow_users", p.refuseUser(c)
	}
	return "", nil
}

// refuseUser returns why the user of a unix socket's peer may not connect, or nil.
func (p *Peers) refuseUser(c net.Conn) error {
	uid, pid, err := peerUser(c)
	switch {
	case err != nil:
		return fmt.Errorf("its user cannot be determined (allow_users): %w", err)
	case !slices.Contains(p.Users, uid):
		return fmt.Errorf("user %d, process %d, is not allowed (allow_users)", uid, pid)
	}
	return nil
}
