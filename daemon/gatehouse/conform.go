package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"gatehouse/daemon"
	"gatehouse/fastcgi/conform"
)

// exitFails is the exit status of conform if a clause fails.
const exitFails = 1

// conform tests an endpoint, which may be of any implementation.
func (p *process) conform(ctx context.Context, args []string) int {
	target, asJSON, help, err := conformTarget(args)
	switch {
	case err != nil:
		return p.fail(err)
	case help:
		return p.print(conformUsage)
	}
	ctx, stop := p.untilSignal(ctx)
	defer stop()
	report, err := target.Run(ctx)
	if err != nil {
		return p.fail(err)
	}
	var b strings.Builder
	if asJSON {
		err = report.WriteJSON(&b)
	} else {
		err = report.WriteTable(&b, isTerminal(p.stdout) && p.getenv("NO_COLOR") == "")
	}
	if err != nil {
		return p.fail(err)
	}
	if status := p.print(b.String()); status != exitDone {
		return status
	}
	if report.Failed > 0 {
		return exitFails
	}
	return exitDone
}

// conformTarget reads the flags of conform.
func conformTarget(args []string) (target conform.Target, asJSON, help bool, err error) {
	var addresses []daemon.Address
	var json *bool
	var timeout string
	help, err = parseFlags("conform", args, []option{
		{name: "fastcgi", set: addTo(&addresses, daemon.ParseAddress)},
		{name: "param", set: addTo(&target.Params, parseParam)},
		{name: "timeout", set: setTo(&timeout)},
		{name: "json", set: setBool(&json), alone: "true"},
	})
	if err != nil || help {
		return target, false, help, err
	}
	switch len(addresses) {
	case 0:
		return target, false, false, errors.New("conform needs --fastcgi ADDR, the endpoint to test")
	case 1:
	default:
		return target, false, false, errors.New("--fastcgi: it is given twice: test one endpoint at a time")
	}
	switch a := addresses[0]; {
	case a.Kind == daemon.AddressUnix:
		target.Network, target.Address = "unix", a.Path
	case a.Kind != daemon.AddressTCP:
		return target, false, false, fmt.Errorf("--fastcgi: %s cannot be connected to: write unix:PATH or HOST:PORT", a)
	case a.Port == 0:
		return target, false, false, fmt.Errorf("--fastcgi: %s has no port: write HOST:PORT", a)
	default:
		host := a.Host
		if host == "" {
			host = "localhost"
		}
		target.Network, target.Address = "tcp", net.JoinHostPort(host, strconv.Itoa(int(a.Port)))
	}
	if timeout != "" {
		if target.Timeout, err = parseTimeout(timeout); err != nil {
			return target, false, false, err
		}
	}
	return target, json != nil && *json, false, nil
}

func parseTimeout(s string) (time.Duration, error) {
	d, err := time.ParseDuration(s)
	if err != nil || d <= 0 {
		return 0, fmt.Errorf("--timeout: %q is not a time: write a number and a unit, such as 5s or 500ms", s)
	}
	return d, nil
}

func parseParam(s string) (conform.Param, error) {
	name, value, found := strings.Cut(s, "=")
	if !found || name == "" {
		return conform.Param{}, fmt.Errorf("%q is not a variable: write NAME=VALUE", s)
	}
	return conform.Param{Name: name, Value: value}, nil
}

// isTerminal reports whether w is a terminal, or another character device.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

const conformUsage = `gatehouse conform tests whether an application conforms to FastCGI 1.0.

    gatehouse conform --fastcgi ADDR [--param NAME=VALUE]... [--timeout TIME] [--json]

ADDR is unix:PATH or HOST:PORT. The application may be of any implementation. For each
clause of the specification, conform prints whether it passes, fails or is not
applicable, and what was seen. --json prints an object instead, which "go doc
gatehouse/fastcgi/conform" describes. NO_COLOR turns off colours.

--param sets a variable in every request. An endpoint that runs programs needs at
least one, to find a program that responds to a plain GET:
    php-fpm, fcgiwrap     --param SCRIPT_FILENAME=/srv/www/hello.php

--timeout is the time limit of each clause; the default is 5s.

Do not test an endpoint in use. The test sends malformed requests, which a badly
written application may not survive, and it occupies an endpoint with one worker.

The exit status is 0 if no clause fails, 1 if one does, and 2 if the endpoint cannot be
reached.

Example:
    $ gatehouse conform --fastcgi unix:/run/php/php-fpm.sock \
                        --param SCRIPT_FILENAME=/srv/www/hello.php
`
