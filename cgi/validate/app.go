package validate

import (
	"fmt"
	"io"

	"gatehouse/cgi"
)

// An App is a cgi.App that runs another and checks the requests that it gets, the
// answers that it gives, and how it uses what it was given. It does not change
// either. It may serve any number of requests at once.
type App struct {
	// App is the application.
	App cgi.App

	// Warn, if not nil, is called with each warning, by several goroutines at once if
	// requests are served so. If it is nil, a warning is a line on the request's
	// Stderr.
	Warn func(*Warning)
}

// ServeCGI implements cgi.App. An error that is an [Error] (see [errors.As]) says
// which rule was broken; any other is the application's own.
func (a *App) ServeCGI(w cgi.ResponseWriter, r *cgi.Request) error {
	warn := a.warner(r.Stderr)
	if err := checkRequest(r, warn); err != nil {
		return err
	}
	x := newExchange(r)
	out := &writer{
		exchange: x,
		next:     w,
		warn:     warn,
		isHead:   r.Env.Get("REQUEST_METHOD") == "HEAD",
		declared: -1,
	}
	err := x.run(a.App, out)
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
