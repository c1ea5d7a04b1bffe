package daemon

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"gatehouse/cgi"
	"gatehouse/cgi/script"
	"gatehouse/fastcgi/upstream"
	"gatehouse/internal/backend"
)

// A fastcgiKind passes requests on to a FastCGI application.
type fastcgiKind struct {
	app        *upstream.App // as configured; prepare runs another one
	authorizer bool
}

// FastCGI returns the kind of an application that passes requests on to a FastCGI
// application. It keeps a. The daemon sets those of its Limits that are limits of the
// configuration, and its Log.
func FastCGI(a *upstream.App) Kind { return &fastcgiKind{app: a} }

func (k *fastcgiKind) traits() traits {
	return traits{name: "fastcgi", target: "ADDR", noun: "address", without: "passes no request on", authorizer: k.authorizer}
}

func (k *fastcgiKind) keys() []Key {
	a := k.app
	return slices.Concat([]Key{
		row("fastcgi", `"unix:/run/php/php-fpm.sock"`, "in an [[app]]: pass requests on to the FastCGI application at an address, or to the least busy in a list of them", each(k.parse)),
		row("env", `{ APP_ENV = "production" }`, "variables set for the application, whatever the web server sends", pairs(addEnv(&a.Env))).unless(nil, ""),
		row("role", `"responder"`, `the FastCGI role of the application: "responder" or "authorizer"`, text(role(&k.authorizer))).unless("responder", ""),
		row("keep", `8`, "idle connections to each address that are kept; none by default, because each may occupy a worker of the application", count(&a.Limits.Keep, 0)),
		row("keep_idle", `"30s"`, "how long one is kept without a request", duration(&a.Limits.KeepIdle)),
		row("keep_requests", `1000`, "how many requests one is kept for", count(&a.Limits.KeepRequests, 1)),
	}, fileKeys(&a.Root, &a.Index, &a.Follow, &a.Translate, &a.LocalRedirect, &a.Streaming), backendKeys(&a.Limits))
}

// fileKeys are the keys of all kinds that speak FastCGI, about how a request is passed on, and
// the file that it is for.
func fileKeys(root, index *string, follow *[]string, translate *map[string]string, redirect *cgi.RedirectPolicy, streaming *bool) []Key {
	return []Key{
		row("root", `"/srv/www/current"`, "the directory of the PHP files; links are followed anew for each request. Without it the web server says which file, by SCRIPT_FILENAME", directory(root)),
		row("index", `"index.php"`, "with root: the file that serves directories, and paths of which no file exists", name(index)),
		row("follow", `["/srv/shared"]`, "with root: files and directories outside it that links in it may lead to", existing(follow)).unless(nil, ""),
		row("translate", `{ "/srv/www" = "/var/www" }`, "beginnings of paths that the application sees in another place, in a chroot or a container", pairs(addTranslate(translate))),
		row("local_redirect", `"auto"`, "as for scripts", choice(redirect, cgi.ParseRedirectPolicy, "auto, client and internal")),
		row("streaming", `false`, "as for scripts: requests are passed on before their bodies have come", flag(streaming)),
	}
}

// backendKeys are the keys of all kinds that pass requests on.
func backendKeys(l *backend.Limits) []Key {
	return []Key{
		row("connections", `128`, "connections to the application at once; more requests wait in the queue", count(&l.Connections, 1)),
		row("dial", `"5s"`, "how long it may take to connect over TCP", duration(&l.Dial)),
	}
}

// parse adds an address.
func (k *fastcgiKind) parse(target string) error { return addBackend(&k.app.Addresses, target) }

// addBackend adds the address of an application.
func addBackend(list *[]string, s string) error {
	*list = append(*list, s)
	a, err := backend.ParseAddress(s)
	if err == nil && a.Network == "unix" {
		err = checkAbsolute(a.Address)
	}
	return err
}

// addEnv returns a function that adds a variable.
func addEnv(list *[]string) func(name, value string) error {
	return func(name, value string) error {
		*list = append(*list, name+"="+value)
		if strings.IndexByte(value, 0) >= 0 {
			return errors.New("NUL byte in the value")
		}
		return checkVariable(name)
	}
}

// addTranslate returns a function that adds the beginning of a path.
func addTranslate(translate *map[string]string) func(from, to string) error {
	return func(from, to string) error {
		if *translate == nil {
			*translate = make(map[string]string)
		}
		(*translate)[from] = to
		return errors.Join(checkAbsolute(from), checkAbsolute(to))
	}
}

// role returns a function that sets whether the role is that of an authorizer.
func role(authorizer *bool) func(string) error {
	return func(s string) error {
		*authorizer = s == "authorizer"
		if s != "responder" && s != "authorizer" {
			return fmt.Errorf(`unknown role %q: write "responder" or "authorizer"`, s)
		}
		return nil
	}
}

// backendLimits returns l with the limits of the configuration.
func backendLimits(l backend.Limits, c script.Limits) backend.Limits {
	l.Queue, l.QueueWait = c.Queue, c.QueueWait
	l.FirstByte, l.Silence, l.Run = c.FirstByte, c.Silence, c.Run
	l.HeadBytes, l.StderrBytes, l.Spool = c.HeadBytes, c.StderrBytes, c.Spool
	return l
}

func (k *fastcgiKind) prepare(p preparation) (cgi.App, func() error, error) {
	a := &upstream.App{Addresses: k.app.Addresses, Limits: backendLimits(k.app.Limits, p.limits), Root: k.app.Root, Index: k.app.Index, Follow: k.app.Follow,
		Translate: maps.Clone(k.app.Translate), Env: k.app.Env, LocalRedirect: k.app.LocalRedirect, Streaming: k.app.Streaming, Log: p.log}
	return a, a.Close, placed(p, a.Prepare())
}

// placed returns an error with a line for each of its own, which names the place of the
// application.
func placed(p preparation, err error) error {
	if err == nil {
		return nil
	}
	var errs []error
	for line := range strings.SplitSeq(err.Error(), "\n") {
		errs = append(errs, fmt.Errorf("%s: %s", p.place, line))
	}
	return errors.Join(errs...)
}

func (k *fastcgiKind) configured() string { return "fastcgi = " + list(k.app.Addresses) }

// list formats strings as TOML.
func list(items []string) string {
	quoted := make([]string, len(items))
	for i, s := range items {
		quoted[i] = strconv.Quote(s)
	}
	if len(quoted) == 1 {
		return quoted[0]
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}
