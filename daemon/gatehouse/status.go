package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"strconv"
	"time"

	"gatehouse/daemon"
	"gatehouse/daemon/admin"
)

const statusUsage = `gatehouse status, top and abort ask a running gatehouse what it does, at its admin address.

    gatehouse status  [--admin ADDR] [--token-file FILE] [--json] [--request ID]
    gatehouse top     [--admin ADDR] [--token-file FILE] [--interval DURATION] [--count N]
    gatehouse abort   [--admin ADDR] [--token-file FILE] ID...

Without --admin, it is the admin address of /etc/gatehouse/gatehouse.toml, a unix socket
rather than TCP, or else unix:/run/gatehouse/admin.sock. The first line of --token-file is the token that aborting
over TCP needs (admin_token_file).

status prints one screen, or with --json all there is. Its exit status is that of a check of
Nagios and its like: 0 if all is well, 1 for a warning, 2 if something does not work, 3 if
no gatehouse answers. The first lines say why. With --request, it prints what one request in
flight does: what it waits for, its processes and its limits.

top prints the same again and again, every 2 s or --interval, N times if --count says so.

abort ends requests in flight: their clients get an error page, or a truncated response,
and their programs are terminated. The exit status is 0 if all were in flight, else 1.

Examples:
    $ sudo gatehouse status
    $ gatehouse abort --admin unix:/run/gatehouse/admin.sock 4711
`

// standardAdmin is where a gatehouse is asked if its configuration does not say.
const standardAdmin = "unix:/run/gatehouse/admin.sock"

// adminOptions returns the options of the commands that ask a gatehouse.
func adminOptions(address *daemon.Address, tokenFile *string) []option {
	return []option{
		{name: "admin", set: setOnce(address, daemon.ParseAddress)},
		{name: "token-file", set: setTo(tokenFile)},
	}
}

// askable returns the address at which a gatehouse is best asked: a unix socket, where
// requests can be aborted, or else one of TCP; the zero value for none.
func askable(list []daemon.Address) (address daemon.Address) {
	for _, a := range list {
		switch {
		case a.Kind == daemon.AddressUnix:
			return a
		case a.Kind == daemon.AddressTCP && address == daemon.Address{}:
			address = a
		}
	}
	return address
}

// adminClient returns a client for an address, or for the usual one if it is the zero value.
func adminClient(address daemon.Address, tokenFile string) (*admin.Client, error) {
	if address == (daemon.Address{}) {
		address, _ = daemon.ParseAddress(standardAdmin) // it is valid
		if c, err := daemon.LoadConfig(standardConfig); err == nil {
			address = cmp.Or(askable(c.Admin.Addresses), address)
		}
	}
	c := new(admin.Client)
	switch address.Kind {
	case daemon.AddressUnix:
		c.Network, c.Address = "unix", address.Path
	case daemon.AddressTCP:
		if ip, err := netip.ParseAddr(address.Host); address.Host == "" || err == nil && ip.IsUnspecified() {
			address.Host = "localhost"
		}
		c.Network, c.Address = "tcp", address.String()
	default:
		return nil, fmt.Errorf("--admin: nothing can be asked at %v: write unix:PATH or HOST:PORT", address)
	}
	if tokenFile != "" {
		b, err := os.ReadFile(tokenFile)
		if err != nil {
			return nil, fmt.Errorf("--token-file: %w", err)
		}
		line, _, _ := bytes.Cut(b, []byte("\n"))
		c.Token = string(bytes.TrimSpace(line))
	}
	return c, nil
}

// status prints what a running gatehouse does.
func (p *process) status(ctx context.Context, args []string) int {
	var address daemon.Address
	var tokenFile, request string
	var inJSON *bool
	help, err := parseFlags("status", args, append(adminOptions(&address, &tokenFile), option{name: "json", set: setBool(&inJSON), alone: "true"},
		option{name: "request", set: setTo(&request)}))
	switch {
	case err != nil:
		p.complain(err)
		return int(admin.Unknown)
	case help:
		return p.print(statusUsage)
	}
	c, err := adminClient(address, tokenFile)
	if err != nil {
		p.complain(err)
		return int(admin.Unknown)
	}
	ctx, stop := p.untilSignal(ctx)
	defer stop()
	level, err := admin.OK, error(nil)
	asJSON := inJSON != nil && *inJSON
	if request != "" {
		err = p.statusOf(ctx, c, request, asJSON)
	} else {
		level, err = p.statusOfAll(ctx, c, asJSON)
	}
	if err != nil {
		p.complain(err)
		return int(admin.Unknown)
	}
	return int(level)
}

// statusOfAll prints what a gatehouse does, and returns how well it is.
func (p *process) statusOfAll(ctx context.Context, c *admin.Client, asJSON bool) (admin.Level, error) {
	s, err := c.Status(ctx)
	if err != nil {
		return 0, err
	}
	level, _ := s.Assess()
	if asJSON {
		return level, p.printJSON(s)
	}
	return level, s.WriteText(p.stdout, nil, 20)
}

// statusOf prints what a request does.
func (p *process) statusOf(ctx context.Context, c *admin.Client, id string, asJSON bool) error {
	d, err := c.Look(ctx, id)
	switch {
	case err != nil:
		return err
	case asJSON:
		return p.printJSON(d)
	}
	return d.WriteText(p.stdout)
}

func (p *process) printJSON(v any) error {
	enc := json.NewEncoder(p.stdout)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// top prints what a running gatehouse does, again and again.
func (p *process) top(ctx context.Context, args []string) int {
	var address daemon.Address
	var tokenFile, count string
	interval := 2 * time.Second
	help, err := parseFlags("top", args, append(adminOptions(&address, &tokenFile),
		option{name: "interval", set: setOnce(&interval, parseInterval)},
		option{name: "count", set: setTo(&count)}))
	switch {
	case err != nil:
		return p.fail(err)
	case help:
		return p.print(statusUsage)
	}
	left := -1
	if count != "" {
		if left, err = strconv.Atoi(count); err != nil || left < 1 {
			return p.fail(fmt.Errorf("--count: %q is not a number, 1 or more", count))
		}
	}
	c, err := adminClient(address, tokenFile)
	if err != nil {
		return p.fail(err)
	}
	screen := newDisplay(p.stdout)
	defer screen.leave()
	ctx, stop := p.untilSignal(ctx)
	defer stop()
	tick := time.NewTicker(interval)
	defer tick.Stop()
	var before *admin.Status
	for ; left != 0; left-- {
		s, err := c.Status(ctx)
		if ctx.Err() != nil {
			return exitDone
		}
		if err != nil {
			screen.leave()
			p.complain(err)
			return exitServed
		}
		var b bytes.Buffer
		s.WriteText(&b, before, maxListed) // a Buffer takes everything
		if err := screen.show(b.Bytes()); err != nil {
			return p.fail(err)
		}
		before = s
		if left == 1 {
			break
		}
		select {
		case <-ctx.Done():
			return exitDone
		case <-tick.C:
		}
	}
	return exitDone
}

// maxListed is how many requests top lists; the screen may have room for fewer.
const maxListed = 200

func parseInterval(s string) (time.Duration, error) {
	d, err := time.ParseDuration(s)
	if err != nil || d < 100*time.Millisecond {
		return 0, fmt.Errorf("%q is not a time such as 2s, of 100ms at least", s)
	}
	return d, nil
}

// abort ends requests in flight.
func (p *process) abort(ctx context.Context, args []string) int {
	var address daemon.Address
	var tokenFile string
	var ids []string
	help, err := parseFlags("abort", args, append(adminOptions(&address, &tokenFile), option{set: func(id string) error {
		ids = append(ids, id)
		return nil
	}}))
	switch {
	case err != nil:
		return p.fail(err)
	case help:
		return p.print(statusUsage)
	case len(ids) == 0:
		return p.fail(errors.New("abort needs the id of a request, as gatehouse status and the log have it"))
	}
	c, err := adminClient(address, tokenFile)
	if err != nil {
		return p.fail(err)
	}
	ctx, stop := p.untilSignal(ctx)
	defer stop()
	code := exitDone
	for _, id := range ids {
		if err := c.Abort(ctx, id); err != nil {
			p.complain(err)
			code = exitServed
			continue
		}
		io.WriteString(p.stdout, "request "+id+" is aborted\n")
	}
	return code
}
