//go:build !windows

package main

import (
	"context"
	"errors"
)

var errNoServices = errors.New("services are Windows's: for systemd, see docs/systemd.md")

// serveService fails: there are no such services here.
func (p *process) serveService(context.Context, *serviceCall) int { return p.fail(errNoServices) }

// changeDirectory changes nothing here, where no service is run.
func changeDirectory(string) error { return nil }
