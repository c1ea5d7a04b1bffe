package validate

import (
	"fmt"
	"io"

	"gatehouse/cgi"
)

// An App is a cgi.App that runs another and checks the requests that it gets, the
// responses that it gives, and how it uses what it was given. It does not change
// either, but for the length of a [cgi.WSGI]'s body, which it hides. It may serve any
// number of requests at once.
type App struct {
	// App is the application. One that is a cgi.WSGI has its body checked, too.
	App cgi.App

	// Warn, if not nil, is called with each warning, by several goroutines at once if
	// requests are served so. If it is nil, a warning is a line on the request's
	// Stderr.
	Warn func(*Warning)
}

// Unwrap returns App, for [cgi.Mounts].
func (a *App) Unwrap() cgi.App { return a.App }

// ServeCGI implements cgi.App. An error that is an [Error] (see [errors.As]) says
// which rule was broken; any other is the application's own.
func (a *App) ServeCGI(w cgi.ResponseWriter, r *cgi.Request) error {
	warn := a.warner(r.Stderr)
	if err := checkRequest(r, warn); err != nil {
		return err
	}
	x := newExchange(r, warn)
	out := newWriter(x, w)
	app := a.App
	if f, ok := app.(cgi.WSGI); ok {
		app = cgi.WSGI(func(env *cgi.Environ, start cgi.StartResponse) (cgi.Body, error) {
			return x.callWSGI(f, env, start)
		})
	}
	err := x.run(app, out)
	if err == nil && x.failed() == nil {
		out.checkEnd()
	}
	return x.verdict(err)
}

// warner returns what takes the warnings of a request.
func (a *App) warner(stderr io.Writer) warner {
	return func(rule, format string, args ...any) {
		w := &Warning{rule, fmt.Sprintf(format, args...)}
		if a.Warn != nil {
			a.Warn(w)
			return
		}
		fmt.Fprintf(stderr, "%v\n", w)
	}
}
