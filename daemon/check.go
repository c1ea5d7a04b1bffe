package daemon

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"path/filepath"
	"strings"

	"gatehouse"
)

// Check reports everything in c that this process, with its user and groups, could not
// serve, as far as that can be found without opening a socket. The error has one line for
// each problem. Only Open finds a port or socket in use, a port that needs a privilege, an
// address that this machine does not have, and sockets that were not passed.
func (c *Config) Check() error {
	g, err := newGeneration(*c, preparation{log: slog.New(slog.DiscardHandler)})
	if err = errors.Join(err, c.checkJournal()); err != nil {
		if g != nil {
			g.close()
		}
		return err
	}
	return g.close()
}

// check is Check without the applications.
func (c *Config) check() error {
	var errs []error
	seen := make(map[string]bool)
	addresses := append(c.addresses(), c.Admin.addresses()...)
	for _, e := range addresses {
		errs = append(errs, c.checkAddress(e.protocol, e.address))
		if key := e.address.key(); key != "" {
			if seen[key] {
				errs = append(errs, fmt.Errorf("%v is given twice: remove one", e.address))
			}
			seen[key] = true
		}
		for _, other := range addresses {
			if e.address.includes(other.address) {
				errs = append(errs, fmt.Errorf("%v is a part of %v: remove one of them", other.address, e.address))
			}
		}
	}
	errs = append(errs, c.checkUsers(), c.checkProxies(), c.checkLogs())
	if c.PIDFile != "" {
		if err := checkPIDFile(c.PIDFile); err != nil {
			errs = append(errs, fmt.Errorf("pid_file: %w", err))
		}
	}
	errs = append(errs, c.checkPing(), c.checkReloadOnChange())
	if _, err := readToken(c.Admin.TokenFile); err != nil {
		errs = append(errs, fmt.Errorf("admin_token_file: %w", err))
	}
	if err := checkSpool(c.Limits.Spool.Dir); err != nil {
		errs = append(errs, fmt.Errorf("spool_dir: %w", err))
	}
	return errors.Join(errs...)
}

// A protocolAddress is an address and the protocol served there.
type protocolAddress struct {
	protocol gatehouse.Protocol
	address  Address
}

// addresses returns where c listens for requests to applications.
func (c *Config) addresses() (list []protocolAddress) {
	add := func(p gatehouse.Protocol, addresses []Address) {
		for _, a := range addresses {
			list = append(list, protocolAddress{p, a})
		}
	}
	add(gatehouse.HTTP, c.HTTP)
	add(gatehouse.FastCGI, c.FastCGI)
	add(gatehouse.SCGI, c.SCGI)
	return list
}

// key returns the same string for addresses that cannot be opened together, or "" if
// that is not known.
func (a Address) key() string {
	switch {
	case a.Kind == AddressUnix:
		return "unix:" + filepath.Clean(a.Path)
	case a.Kind == AddressPipe:
		return "npipe:" + strings.ToLower(a.Name)
	case a.Kind == AddressTCP && a.Port == 0:
		return ""
	}
	a.HalfClose = false
	return a.String()
}

// includes reports whether a is a port of every address of this machine, and b the same port
// of one of them.
func (a Address) includes(b Address) bool {
	every := func(a Address) bool {
		ip, err := netip.ParseAddr(a.Host)
		return a.Host == "" || err == nil && ip.IsUnspecified()
	}
	return a.Kind == AddressTCP && b.Kind == AddressTCP && a.Port != 0 && a.Port == b.Port && every(a) && !every(b)
}

func (c *Config) checkAddress(p gatehouse.Protocol, a Address) error {
	switch a.Kind {
	case AddressUnix:
		return a.checkUnix()
	case AddressPipe:
		return a.checkPipe()
	case AddressTCP:
		ip, err := netip.ParseAddr(a.Host)
		if a.Host == "" || err == nil && !ip.Unmap().IsLoopback() {
			return c.checkReach(p, a.String())
		}
	}
	return nil
}

// checkReach returns an error if a protocol without authentication is reachable from
// other machines, and Allow does not restrict them.
func (c *Config) checkReach(p gatehouse.Protocol, address string) error {
	if isAdmin(p) {
		return c.Admin.checkReach(p, address)
	}
	if p == gatehouse.HTTP || len(c.Allow) > 0 {
		return nil
	}
	return fmt.Errorf("%s on %s can be reached from other machines, and anyone who can reach it can set every variable: "+
		"add --allow with the address of the web server, or listen on 127.0.0.1 or a unix socket", p, address)
}

// checkListener is checkReach for an open socket.
func (c *Config) checkListener(p gatehouse.Protocol, l net.Listener) error {
	if tcp, ok := l.Addr().(*net.TCPAddr); ok && !tcp.IP.IsLoopback() {
		return c.checkReach(p, l.Addr().String())
	}
	return nil
}
