//go:build !windows

package main

import "context"

// serveService fails: there are no such services here.
func (p *process) serveService(context.Context, *serviceCall) int { return p.fail(errNoServices) }

// changeDirectory changes nothing here, where no service is run.
func changeDirectory(string) error { return nil }
