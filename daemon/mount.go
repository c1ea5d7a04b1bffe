package daemon

import (
	"errors"

	"gatehouse/cgi"
	"gatehouse/cgi/validate"
)

// mounted is the applications by FastCGI's role. There may be no authorizer.
type mounted struct{ app, authorizer cgi.App }

// prepare prepares the applications. The second result, which must be called also if
// there is an error, ends them all. The error has a line for each thing that is wrong with
// any.
func prepare(apps []App, p preparation) (prepared []cgi.App, end func() error, err error) {
	var errs []error
	var ends []func() error
	end = func() error {
		var errs []error
		for _, f := range ends {
			errs = append(errs, f())
		}
		return errors.Join(errs...)
	}
	for _, a := range apps {
		own := p
		own.place, own.limits = a.place(), a.Limits
		own.limits.Spool = p.limits.Spool
		app, endApp, err := a.Kind.prepare(own)
		prepared = append(prepared, app)
		ends = append(ends, endApp)
		errs = append(errs, err)
	}
	return prepared, end, errors.Join(append(errs, checkMounts(apps)...)...)
}

// mount mounts the applications, which have been prepared, each with a validator in
// front of it if checked is true.
func mount(apps []App, prepared []cgi.App, checked bool) (mounted, error) {
	muxes := make(map[bool]*cgi.Mux) // true: of the authorizers
	for i, a := range apps {
		if checked {
			prepared[i] = &validate.App{App: prepared[i]}
		}
		t := a.Kind.traits()
		if len(apps) == 1 && t.asSent {
			return mounted{app: prepared[i]}, nil
		}
		if muxes[t.authorizer] == nil {
			muxes[t.authorizer] = new(cgi.Mux)
		}
		if err := muxes[t.authorizer].Mount(a.Prefix, prepared[i]); err != nil {
			return mounted{}, err
		}
	}
	m := mounted{app: new(cgi.Mux)}
	if mux := muxes[false]; mux != nil {
		m.app = &cgi.Redirector{App: mux}
	}
	if mux := muxes[true]; mux != nil {
		m.authorizer = mux
	}
	return m, nil
}
