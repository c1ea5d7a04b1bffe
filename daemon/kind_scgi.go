package daemon

import (
	"slices"

	"gatehouse/cgi"
	"gatehouse/scgi"
)

// An scgiKind passes requests on to an SCGI application.
type scgiKind struct{ client *scgi.Client }

// SCGI returns the kind of an application that passes requests on to an SCGI application. It
// keeps c. The daemon sets those of its Limits that are limits of the configuration, and its
// Log.
func SCGI(c *scgi.Client) Kind { return &scgiKind{client: c} }

func (k *scgiKind) traits() traits {
	return traits{name: "scgi", target: "ADDR", noun: "address", without: "passes no request on"}
}

func (k *scgiKind) keys() []Key {
	c := k.client
	return slices.Concat([]Key{
		row("scgi", `"127.0.0.1:8081"`, "in an [[app]]: pass requests on to the SCGI application at an address, or to the least busy in a list of them", each(k.parse)),
		row("env", `{ HOME = "/srv/fossil" }`, "variables set for the application, whatever the web server sends", pairs(addEnv(&c.Env))).unless(nil, ""),
		row("streaming", `false`, "as for scripts: requests are passed on before their bodies have come", flag(&c.Streaming)),
		row("local_redirect", `"auto"`, "as for scripts", choice(&c.LocalRedirect, cgi.ParseRedirectPolicy, "auto, client and internal")),
	}, backendKeys(&c.Limits))
}

// parse adds an address.
func (k *scgiKind) parse(target string) error { return addBackend(&k.client.Addresses, target) }

func (k *scgiKind) prepare(p preparation) (cgi.App, func() error, error) {
	c := &scgi.Client{Addresses: k.client.Addresses, Limits: backendLimits(k.client.Limits, p.limits), Env: k.client.Env, Streaming: k.client.Streaming,
		LocalRedirect: k.client.LocalRedirect, Log: p.log}
	return c, c.Close, placed(p, c.Prepare())
}

func (k *scgiKind) configured() string { return "scgi = " + list(k.client.Addresses) }
