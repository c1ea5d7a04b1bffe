package daemon

import (
	"errors"
	"fmt"
	"time"

	"gatehouse"
)

// An Outline is what has to be known of a configuration in front of the daemon.
type Outline struct {
	Listeners []Listener
	Mounts    []Mount // without authorizers, to which no path leads

	// Patience is longer than what the daemon waits for an application, so that it is the
	// daemon that times out. It is a day if the daemon has no limit.
	Patience time.Duration
}

// A Listener is an address, and the protocol served there.
type Listener struct {
	Protocol gatehouse.Protocol
	Address  Address
}

// A Mount is where an application is mounted.
type Mount struct {
	Prefix     string // as it is configured
	Kind       string // the name of its kind, such as "scripts"
	Configured string // the application in the form of a configuration
}

// Outline returns what has to be known of c in front of it. Without an address, these are the
// ports that a daemon opens if it is started by hand. The error has a line for each prefix that
// is mounted twice.
func (c Config) Outline() (o Outline, err error) {
	c = c.Defaults()
	if errs := checkMounts(c.Apps); len(errs) > 0 {
		return Outline{}, errors.Join(errs...)
	}
	if !c.Listens() {
		c.HTTP, c.FastCGI, c.SCGI = []Address{bareHTTP}, []Address{bareFastCGI}, []Address{bareSCGI}
	}
	for _, a := range c.addresses() {
		o.Listeners = append(o.Listeners, Listener{a.protocol, a.address})
	}
	for _, a := range c.Apps {
		t := a.Kind.traits()
		if t.authorizer {
			continue
		}
		o.Mounts = append(o.Mounts, Mount{a.Prefix, t.name, a.Kind.configured()})
		o.Patience = max(o.Patience, a.patience())
	}
	if len(o.Mounts) == 0 {
		return Outline{}, fmt.Errorf("%s is an authorizer, to which no path leads: add an application of another kind", c.Apps[0].place())
	}
	return o, nil
}

// unlimited stands for a time without a limit, and patienceMargin is added to others.
const (
	unlimited      = 24 * time.Hour
	patienceMargin = time.Minute
)

// patience is longer than the daemon waits for the application: in the queue and then for its
// first byte, or for more.
func (a App) patience() time.Duration {
	l := Limits{Programs: a.Limits}
	for _, row := range LimitTable() {
		if d, ok := row.at(&l).(*time.Duration); ok && *d == 0 && row.Default != "off" {
			_ = row.Set(&l, row.Default) // a default is a value, or in words
		}
	}
	p := l.Programs
	if p.QueueWait < 0 || p.FirstByte < 0 || p.Silence < 0 {
		return unlimited
	}
	return min(max(p.QueueWait+p.FirstByte, p.Silence)+patienceMargin, unlimited)
}
