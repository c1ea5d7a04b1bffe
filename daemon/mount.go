package daemon

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"gatehouse/cgi"
	"gatehouse/cgi/process"
	"gatehouse/cgi/script"
	"gatehouse/cgi/validate"
)

// mounted is the applications by FastCGI's role. There may be no authorizer.
type mounted struct{ app, authorizer cgi.App }

// mount makes the applications and mounts them, each with a validator in front of it
// if checked is true, and with the reaper, or nil. The second result ends them all.
func mount(apps []App, checked bool, log *slog.Logger, reaper *process.Reaper) (mounted, func() error, error) {
	muxes := make(map[bool]*cgi.Mux) // true: of the authorizers
	var only cgi.App
	var closers []func() error
	end := func() error {
		var errs []error
		for _, f := range closers {
			errs = append(errs, f())
		}
		return errors.Join(errs...)
	}
	for _, a := range apps {
		app, closer, err := a.open(log, reaper)
		if closer != nil {
			closers = append(closers, closer)
		}
		if checked {
			app = &validate.App{App: app}
		}
		only = app
		if err == nil {
			if muxes[a.Authorizer] == nil {
				muxes[a.Authorizer] = new(cgi.Mux)
			}
			err = muxes[a.Authorizer].Mount(a.Prefix, app)
		}
		if err != nil {
			return mounted{}, nil, errors.Join(err, end())
		}
	}
	if len(apps) == 1 && apps[0].Manner != script.Gatehouse {
		return mounted{app: only}, end, nil // which looks at the path as it was sent
	}
	m := mounted{app: new(cgi.Mux)}
	if mux := muxes[false]; mux != nil {
		m.app = &cgi.Redirector{App: mux}
	}
	if mux := muxes[true]; mux != nil {
		m.authorizer = mux
	}
	return m, end, nil
}

// checkMounts returns an error for each prefix that is mounted again.
func checkMounts(apps []App) []error {
	var errs []error
	places := make(map[string]string) // by the prefix, as cgi.Mux has it
	for _, a := range apps {
		p := strings.TrimRight(a.Prefix, "/")
		if a.Authorizer {
			p = "authorizer " + p
		}
		if first, taken := places[p]; taken {
			errs = append(errs, fmt.Errorf("%s: prefix %q is mounted twice, the first time by %s: give one of them another prefix, or remove it",
				a.place(), a.Prefix, first))
			continue
		}
		places[p] = a.place()
	}
	return errs
}
