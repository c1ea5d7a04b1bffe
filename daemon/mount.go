package daemon

import (
	"errors"
	"fmt"
	"log/slog"

	"gatehouse/cgi"
	"gatehouse/cgi/slow"
	"gatehouse/cgi/validate"
	"gatehouse/fastcgi/upstream"
)

// mounted holds the mounted applications. authorizer may be nil.
type mounted struct {
	app, authorizer cgi.App
	watches         []*slow.App
}

// close has the log say nothing of slow requests any more.
func (m mounted) close() error {
	for _, w := range m.watches {
		w.Close()
	}
	return nil
}

// prepare prepares the applications. closeAll closes them, and must be called even if
// there is an error. The error has a line for each problem.
func prepare(apps []App, p preparation) (prepared []cgi.App, closeAll func() error, err error) {
	var errs []error
	var closers []func() error
	closeAll = func() error {
		var errs []error
		for _, f := range closers {
			errs = append(errs, f())
		}
		return errors.Join(errs...)
	}
	for _, a := range apps {
		own := p
		own.place, own.limits = a.place(), a.Limits
		own.limits.Spool = p.limits.Spool
		app, closeApp, err := a.Kind.prepare(own)
		closers = append(closers, closeApp)
		errs = append(errs, err)
		if len(a.Authorizer) > 0 {
			guard := &upstream.App{Addresses: a.Authorizer, Limits: backendLimits(upstream.Limits{}, own.limits), Log: own.log}
			app = &upstream.Guard{Authorizer: guard, App: app}
			closers = append(closers, guard.Close)
			errs = append(errs, placed(own, guard.Prepare()))
			if a.Kind.traits().authorizer {
				errs = append(errs, fmt.Errorf("%s: an authorizer cannot have an authorizer of its own: remove one of role and authorizer", own.place))
			}
		}
		prepared = append(prepared, app)
	}
	return prepared, closeAll, errors.Join(append(errs, checkMounts(apps)...)...)
}

// mount mounts the prepared applications, each behind a validator if checked is true, and
// behind a slow.App if its slow requests are logged.
func mount(apps []App, prepared []cgi.App, checked bool, log *slog.Logger) (m mounted, err error) {
	muxes := make(map[bool]*cgi.Mux) // true: authorizers
	for i, a := range apps {
		if checked {
			prepared[i] = &validate.App{App: prepared[i]}
		}
		app := prepared[i]
		if a.Slow.After > 0 {
			s := &slow.App{App: app, Name: a.Prefix, Limits: a.Slow, Log: log}
			app, m.watches = s, append(m.watches, s)
		}
		t := a.Kind.traits()
		if len(apps) == 1 && t.asSent {
			m.app = app
			return m, nil
		}
		if muxes[t.authorizer] == nil {
			muxes[t.authorizer] = new(cgi.Mux)
		}
		if err := muxes[t.authorizer].Mount(a.Prefix, app); err != nil {
			return mounted{}, err
		}
	}
	m.app = new(cgi.Mux)
	if mux := muxes[false]; mux != nil {
		m.app = &cgi.Redirector{App: mux}
	}
	if mux := muxes[true]; mux != nil {
		m.authorizer = mux
	}
	return m, nil
}
