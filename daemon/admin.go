package daemon

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"

	"gatehouse"
	"gatehouse/cgi"
	"gatehouse/daemon/admin"
	"gatehouse/internal/frontend"
)

// What stands for the protocol of an address that serves no applications.
const (
	protocolAdmin   gatehouse.Protocol = "admin"
	protocolMetrics gatehouse.Protocol = "metrics"
)

// isAdmin reports whether what is served there is the gateway itself.
func isAdmin(p gatehouse.Protocol) bool { return p == protocolAdmin || p == protocolMetrics }

// An Admin says where a daemon shows what it does, and to whom; see package admin.
type Admin struct {
	// Addresses is where the live page, the metrics and the commands status, top and abort
	// find it, and Metrics where /metrics, /healthz and /readyz are alone. Unix sockets have
	// the mode 0600, or 0660 with a group, unless the address says another one.
	Addresses, Metrics []Address

	// Allow lists the TCP peers that may connect to these addresses if they are not on
	// loopback. There must be one then.
	Allow []netip.Prefix

	// Hosts are the names that requests over TCP may be for, besides addresses and
	// localhost.
	Hosts []string

	// TokenFile is the path of a file whose first line lets requests over TCP abort others;
	// empty for none.
	TokenFile string
}

func (a *Admin) keys() []Key {
	return []Key{
		row("admin", `"unix:/run/gatehouse/admin.sock"`, "where to show what gatehouse does (status, top, abort, a page for browsers): an address, or a list of them", each(addAdminAddress(&a.Addresses))),
		row("metrics", `"127.0.0.1:4080"`, "where to serve /metrics, /healthz and /readyz alone", each(addAdminAddress(&a.Metrics))),
		row("admin_allow", `["192.0.2.9"]`, "TCP peers that may connect to admin and metrics; needed unless the address is loopback", each(addParsed(&a.Allow, ParseAllow))),
		row("admin_hosts", `["ops.example.org"]`, "names of this machine that browsers and Prometheus may use for admin and metrics, besides addresses and localhost", each(addParsed(&a.Hosts, parseHost))),
		row("admin_token_file", `"/etc/gatehouse/admin.token"`, "a file whose first line is the token for aborting requests over TCP; without it, only the unix socket may", text(a.setTokenFile)),
	}
}

// ParseAdminAddress is ParseAddress for an address of an Admin.
func ParseAdminAddress(s string) (Address, error) {
	a, err := ParseAddress(s)
	if err == nil && a.Kind == AddressPipe {
		return Address{}, errAdminPipe(a)
	}
	if err == nil && a.Kind == AddressUnix && !strings.Contains(s, ",mode=") {
		a.Mode = 0o600
		if a.Group != "" {
			a.Mode = 0o660
		}
	}
	return a, err
}

func addAdminAddress(list *[]Address) func(string) error {
	return addParsed(list, func(s string) (Address, error) {
		a, err := ParseAdminAddress(s)
		if err == nil && a.Kind == AddressUnix {
			err = checkAbsolute(a.Path)
		}
		return a, err
	})
}

// errAdminPipe is for Windows.
func errAdminPipe(a Address) error {
	return fmt.Errorf("%v: neither browsers nor gatehouse status can ask at a named pipe: write unix:PATH or 127.0.0.1:PORT", a)
}

func parseHost(s string) (string, error) {
	if s == "" || strings.ContainsAny(s, "/: *") {
		return "", fmt.Errorf("%q is not a name of a machine: write one without a port, such as ops.example.org", s)
	}
	return s, nil
}

func (a *Admin) setTokenFile(path string) error {
	a.TokenFile = path
	if err := checkAbsolute(path); err != nil {
		return err
	}
	_, err := readToken(path)
	return err
}

// readToken reads the token in a file, which may be empty for none.
func readToken(path string) (string, error) {
	if path == "" {
		return "", nil
	}
	const least, most = 16, 1 << 10
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0) // a FIFO would be waited for
	if err != nil {
		return "", fmt.Errorf("%s: %w", path, bare(err))
	}
	defer f.Close()
	info, err := f.Stat()
	b := make([]byte, most)
	var n int
	if err == nil && info.Mode().IsRegular() {
		n, err = io.ReadFull(f, b)
	}
	line, _, _ := bytes.Cut(b[:n], []byte("\n"))
	token := strings.TrimSpace(string(line))
	switch {
	case err != nil && err != io.EOF && err != io.ErrUnexpectedEOF:
		return "", fmt.Errorf("%s: %w", path, bare(err))
	case !info.Mode().IsRegular():
		return "", fmt.Errorf("%s is no regular file: write the path of one whose first line is the token", path)
	case len(token) < least:
		return "", fmt.Errorf("%s: the token in its first line is shorter than %d characters: write another one, as head -c 24 /dev/urandom | base64 makes it", path, least)
	case n == most && !bytes.Contains(b, []byte("\n")):
		return "", fmt.Errorf("%s: its first line is longer than %d bytes", path, most)
	case runtime.GOOS != "windows" && info.Mode().Perm()&0o007 != 0:
		return "", fmt.Errorf("%s: every user of this machine can read it: chmod o-rwx %[1]s", path)
	}
	return token, nil
}

// addresses returns where the gateway shows itself.
func (a *Admin) addresses() (list []protocolAddress) {
	for _, x := range a.Addresses {
		list = append(list, protocolAddress{protocolAdmin, x})
	}
	for _, x := range a.Metrics {
		list = append(list, protocolAddress{protocolMetrics, x})
	}
	return list
}

// checkReach returns an error if an address can be reached from other machines, and
// Allow does not restrict them.
func (a *Admin) checkReach(p gatehouse.Protocol, address string) error {
	if len(a.Allow) > 0 {
		return nil
	}
	return fmt.Errorf("%s on %s can be reached from other machines, and shows what every client asks for: "+
		"write admin_allow with the addresses that may connect, or listen on 127.0.0.1 or a unix socket", p, address)
}

// openAdmin opens the addresses where the gateway shows itself, if nothing else is configured. If they are
// shared, such as among the processes that IIS starts, the first one of these has them.
func (g *generation) openAdmin(passed *inheritance, shared bool) error {
	var errs []error
	for _, e := range g.config.Admin.addresses() {
		if e.address.isPassed() {
			errs = append(errs, fmt.Errorf("%v: write fastcgi, scgi or http, too: without them, every socket that is passed serves applications", e.address))
			continue
		}
		list, err := listen(e.address, passed)
		if shared && errors.Is(err, errPortInUse) {
			g.log.Warn("not listening", "error", err.Error())
			continue
		}
		errs = append(errs, err)
		for _, x := range list {
			errs = append(errs, g.addConfigured(e, x.listener, x.fd))
		}
	}
	return errors.Join(errs...)
}

// adminProtocol returns what is served on a socket that systemd passes under this name: where
// the gateway shows itself, for "admin" and "metrics", or with a suffix as in "admin.site". The
// name of a unit, such as "admin.socket", says nothing: it stands where no name was written.
func adminProtocol(name string) (gatehouse.Protocol, bool) {
	if strings.HasSuffix(name, ".socket") {
		return "", false
	}
	name, _, _ = strings.Cut(name, ".")
	p := gatehouse.Protocol(name)
	return p, isAdmin(p)
}

// openPassedAdmin serves the sockets that systemd has passed for it, and that the
// configuration does not name.
func (g *generation) openPassedAdmin(passed *inheritance) error {
	for _, d := range passed.descriptors {
		p, ok := adminProtocol(d.Name)
		if !ok || passed.used[d.FD] {
			continue
		}
		a := Address{Kind: AddressSystemd, Name: d.Name}
		list, err := passed.sockets(d.Name)
		if err != nil {
			return err
		}
		for _, x := range list {
			if err := g.addConfigured(protocolAddress{p, a}, x.listener, x.fd); err != nil {
				return err
			}
		}
	}
	return nil
}

// adminEndpoints returns the endpoints where the gateway shows itself.
func (g *generation) adminEndpoints() (list []admin.Endpoint) {
	for _, e := range g.endpoints {
		if !isAdmin(e.Protocol) {
			continue
		}
		x := admin.Endpoint{Listener: e.Listener, Metrics: e.Protocol == protocolMetrics}
		if len(e.Allow) > 0 {
			peers := frontend.Peers{Allow: e.Allow}
			x.Refuse = func(c net.Conn) error {
				_, err := peers.Refuse(c)
				return err
			}
		}
		list = append(list, x)
	}
	return list
}

// startShowing has the gateway show what it does, if the configuration says so, until stop is
// called.
func (d *Daemon) startShowing() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var sampling sync.WaitGroup
	d.sample = sync.OnceFunc(func() { sampling.Go(func() { d.history.Run(ctx, d.Stats) }) })
	d.show()
	return func() {
		d.admin.Close()
		cancel()
		sampling.Wait()
	}
}

// show has the gateway show itself where the configuration that serves now says.
func (d *Daemon) show() {
	g := d.current()
	if g.hasPage() {
		d.sample()
	}
	d.admin.Handler.SetAccess(admin.Access{Hosts: g.config.Admin.Hosts, Token: g.token})
	d.admin.Serve(g.adminEndpoints())
}

// hasPage reports whether anybody can see the history.
func (g *generation) hasPage() bool {
	return slices.ContainsFunc(g.endpoints, func(e endpoint) bool { return e.Protocol == protocolAdmin })
}

// observe has history note the requests that fail or take long, if anybody can see it.
func (g *generation) observe(history *admin.History) {
	if !g.hasPage() {
		return
	}
	log := g.handler.AccessLog
	if log == nil {
		g.handler.AccessLog = history.Add
		return
	}
	g.handler.AccessLog = func(r *cgi.Request, res cgi.Result) {
		history.Add(r, res)
		log(r, res)
	}
}
