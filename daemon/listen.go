package daemon

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"gatehouse"
	"gatehouse/systemd"
)

// A socket is a listener, and where it comes from.
type socket struct {
	listener net.Listener
	address  string // see Address.place; empty if it was passed by systemd or another parent
	fd       int    // the descriptor as which it was passed
}

// place returns the part of an address that says where to listen.
func (a Address) place() string {
	if key := a.key(); key != "" {
		return key
	}
	return a.String() // any port
}

// listen opens a. Sockets that were passed come from passed, and those of a predecessor.
func listen(a Address, passed *inheritance) ([]socket, error) {
	switch a.Kind {
	case AddressUnix, AddressTCP:
		l, err := listenOwn(a, passed.predecessor)
		return one(socket{listener: l, address: a.place()}, err)
	case AddressDescriptor:
		passed.used[a.FD] = true
		l, err := listenDescriptor(a)
		return one(socket{listener: l, fd: a.FD}, err)
	case AddressPipe:
		l, err := listenPipe(a)
		return one(socket{listener: l, address: a.place()}, err)
	case AddressSystemd:
		return passed.sockets(a.Name)
	}
	return nil, fmt.Errorf("%v: not an address to listen on", a)
}

func one(s socket, err error) ([]socket, error) {
	if err != nil {
		return nil, err
	}
	return []socket{s}, nil
}

var errPortInUse = errors.New("is in use by another process")

// listenOwn takes over the predecessor's socket, or binds one.
func listenOwn(a Address, predecessor *Predecessor) (net.Listener, error) {
	l, err := predecessor.take(a)
	switch {
	case err != nil:
		return nil, err
	case l != nil && a.Kind == AddressUnix:
		return takeUnix(a, l)
	case l != nil:
		return l, nil
	case a.Kind == AddressUnix:
		return listenUnix(a)
	}
	return listenTCP(a)
}

func listenTCP(a Address) (net.Listener, error) {
	address := net.JoinHostPort(a.Host, strconv.Itoa(int(a.Port)))
	l, err := gatehouse.Listen("tcp", address)
	var dns *net.DNSError
	switch {
	case err == nil:
		return l, nil
	case isInUse(err):
		return nil, fmt.Errorf("%s %w: stop it, or choose another port", address, errPortInUse)
	case errors.Is(err, syscall.EACCES):
		return nil, fmt.Errorf("%s: ports below 1024 need a privilege: choose a higher one, or grant CAP_NET_BIND_SERVICE", address)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return nil, fmt.Errorf("%s: no network interface of this machine has that address: write one that it has, or 127.0.0.1, or :%d for all of them", address, a.Port)
	case errors.As(err, &dns):
		return nil, fmt.Errorf("%s: the name %q cannot be resolved: write an address", address, a.Host)
	}
	return nil, fmt.Errorf("%s: %w", address, cause(err))
}

// cause returns err without the operation and the address.
func cause(err error) error {
	var op *net.OpError
	if errors.As(err, &op) {
		err = op.Err
	}
	return bare(err)
}

// listenDescriptor takes over a listening socket that the process was started with.
func listenDescriptor(a Address) (net.Listener, error) {
	s, err := systemd.Inspect(a.FD)
	if err != nil {
		return nil, fmt.Errorf("%v: %w: start gatehouse with a listening socket there", a, err)
	}
	d := systemd.Descriptor{FD: a.FD, Name: "fd", Socket: s}
	l, err := d.Listener()
	if err != nil {
		return nil, fmt.Errorf("%v is %v: start gatehouse with a listening stream socket there", a, s.State)
	}
	return l, nil
}

// An inheritance holds the descriptors passed by systemd, and which of them are used, what
// a predecessor left.
type inheritance struct {
	descriptors []systemd.Descriptor
	used        map[int]bool // by descriptor
	predecessor *Predecessor
}

// sockets returns the sockets with a name, which several of a unit may share.
func (p *inheritance) sockets(name string) ([]socket, error) {
	var list []socket
	for _, d := range p.descriptors {
		if d.Name != name || p.used[d.FD] {
			continue
		}
		l, err := d.Listener()
		if err != nil {
			for _, s := range list {
				s.listener.Close()
			}
			return nil, fmt.Errorf("systemd:%s: %w: write ListenStream= in its unit", name, err)
		}
		p.used[d.FD] = true
		list = append(list, socket{listener: l, fd: d.FD})
	}
	if len(list) == 0 {
		return nil, p.errMissing(name)
	}
	return list, nil
}

// errMissing says that no socket of this name is left, and what there is instead.
func (p *inheritance) errMissing(name string) error {
	if len(p.descriptors) == 0 {
		return fmt.Errorf("systemd:%s: no socket was passed: only systemd passes one, of a socket unit with FileDescriptorName=%s: start that unit, or write an address, such as unix:/run/gatehouse.sock", name, name)
	}
	var names []string
	for _, d := range p.descriptors {
		if quoted := strconv.Quote(d.Name); !slices.Contains(names, quoted) {
			names = append(names, quoted)
		}
	}
	return fmt.Errorf("systemd:%s: systemd passed no socket of that name, only %s: write FileDescriptorName=%s in its unit, and restart it", name, strings.Join(names, ", "), name)
}

// checkUnused returns an error if a descriptor is not used: clients of such a socket
// would wait forever.
func (p *inheritance) checkUnused() error {
	for _, d := range p.descriptors {
		if !p.used[d.FD] {
			return errUnused(d, Address{Kind: AddressSystemd, Name: d.Name})
		}
	}
	return nil
}

func errUnused(what fmt.Stringer, a Address) error {
	return fmt.Errorf("inherited %v is not used: add %q to fastcgi, scgi or http", what, a.String())
}
