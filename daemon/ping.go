package daemon

import (
	"errors"
	"fmt"
	"path"
	"strings"

	"gatehouse/cgi"
)

// A pinger responds to requests for a path itself: with 200 while the daemon is ready, and
// with 503 while it is not. It does not ask the application, and tells nothing of its health.
type pinger struct {
	path  string
	ready func() bool
	app   cgi.App
}

// pinged returns the application with the path of pings in front of it, if there is one.
func (g *generation) pinged(d *Daemon) cgi.App {
	if g.config.Ping == "" {
		return g.mounted.app
	}
	return &pinger{path: g.config.Ping, ready: d.Ready, app: g.mounted.app}
}

// pong is the header of the response. A cache between a load balancer and gatehouse would
// keep a gateway alive that has ended.
var pong = []cgi.Field{{Name: "Content-Type", Value: "text/plain; charset=utf-8"}, {Name: "Cache-Control", Value: "no-store"}}

// ServeCGI implements cgi.App. Every method will do: HAProxy's default is OPTIONS.
func (p *pinger) ServeCGI(w cgi.ResponseWriter, r *cgi.Request) error {
	if r.FullPath() != p.path {
		return p.app.ServeCGI(w, r)
	}
	status, text := "200 OK", "ready\n"
	if !p.ready() {
		status, text = "503 Service Unavailable", "not ready\n"
	}
	if err := w.StartResponse(status, pong); err != nil {
		return err
	}
	_, err := w.Write([]byte(text))
	return err
}

// setPing sets the path of pings.
func (c *Config) setPing(s string) error {
	c.Ping = s
	switch {
	case s == "":
		return errors.New("it is empty: write a path such as \"/ping\", or leave the key out")
	case !strings.HasPrefix(s, "/") || path.Clean(s) != s || strings.ContainsAny(s, "?#%"):
		return fmt.Errorf("%q is not a path as it reaches gatehouse: write one such as \"/ping\", without \"//\", \"..\", a slash at its end, a query or %%-encoding", s)
	case s == "/":
		return errors.New("\"/\" is the front page of the site: write another path, such as \"/ping\"")
	}
	return nil
}

// checkPing returns an error if an application would lose its front page to pings.
func (c *Config) checkPing() error {
	for _, a := range c.Apps {
		if c.Ping != "" && a.mountPoint() == c.Ping {
			return fmt.Errorf("ping: %s is where an application is mounted (%s): write another path", c.Ping, a.place())
		}
	}
	return nil
}

// Unwrap returns the application, for its figures.
func (p *pinger) Unwrap() cgi.App { return p.app }
