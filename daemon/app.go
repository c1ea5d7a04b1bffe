package daemon

import (
	"fmt"
	"slices"
	"strings"

	"gatehouse/cgi/script"
	"gatehouse/cgi/slow"
)

// An App is an application of a daemon and where it is mounted.
type App struct {
	Prefix string // begins with "/"

	// Source is where the application is configured, as "FILE:LINE:COLUMN", for
	// messages. It is empty for a flag.
	Source string

	// Authorizer are the addresses of a FastCGI Authorizer that is asked about each request;
	// see upstream.Guard.
	Authorizer []string

	Kind   Kind
	Limits script.Limits
	Slow   slow.Limits
}

func (a *App) keys() []Key {
	return []Key{
		row("prefix", `"/cgi-bin"`, `where it is mounted; "/" by default`, text(func(s string) error {
			a.Prefix = s
			return checkPrefix(s)
		})),
		row("authorizer", `"unix:/run/auth.sock"`, "a FastCGI application that is asked about each request first, in the role of an authorizer: an address, or a list of them",
			each(func(s string) error { return addBackend(&a.Authorizer, s) })),
	}
}

// ParseApp reads [PREFIX=]KIND[:TARGET], such as "/=demo",
// "/cgi-bin=scripts:/usr/lib/cgi-bin" or "/static=files:/srv/static".
func ParseApp(s string) (App, error) {
	a := App{Prefix: "/"}
	rest := s
	if strings.HasPrefix(s, "/") {
		prefix, r, ok := strings.Cut(s, "=")
		if !ok {
			return App{}, fmt.Errorf("%q has no kind: write %s", s, enumerate("or", inFlags(), func(t traits) string { return s + "=" + t.short() }))
		}
		a.Prefix, rest = prefix, r
		if err := checkPrefix(prefix); err != nil {
			return App{}, err
		}
	} else if prefix, r, ok := strings.Cut(s, "="); ok && !strings.Contains(prefix, ":") {
		return App{}, fmt.Errorf("%w: write /%s=%s", checkPrefix(prefix), prefix, r)
	}
	var err error
	if a.Kind, err = parseKind(rest, s); err != nil {
		return App{}, err
	}
	return a, nil
}

func checkPrefix(s string) error {
	if !strings.HasPrefix(s, "/") {
		return fmt.Errorf("prefix %q does not begin with a slash", s)
	}
	for _, segment := range strings.Split(s, "/") {
		if segment == "." || segment == ".." {
			return fmt.Errorf("prefix %q has a %q segment", s, segment)
		}
	}
	return nil
}

// A merger is a Kind that can absorb another one with the same prefix.
type merger interface {
	merge(other Kind) bool // false if other is of a different kind
}

// AddApps appends applications given by flags. Directories of programs with the same
// prefix become the roots of one application.
func (c *Config) AddApps(apps ...App) {
	first := len(c.Apps)
	for _, a := range apps {
		a.Limits, a.Slow = c.Limits.Programs, c.Limits.Slow
		if !slices.ContainsFunc(c.Apps[first:], func(b App) bool {
			m, ok := b.Kind.(merger)
			return ok && b.Prefix == a.Prefix && m.merge(a.Kind)
		}) {
			c.Apps = append(c.Apps, a)
		}
	}
}

// place names an application in a message.
func (a App) place() string {
	if a.Source != "" {
		return a.Source
	}
	return "--app " + a.Prefix + "=" + a.Kind.traits().word()
}

// mountPoint tells applications apart: its prefix, in the form of cgi.Mux, and the role.
func (a App) mountPoint() string {
	p := strings.TrimRight(a.Prefix, "/")
	if a.Kind.traits().authorizer {
		p = "authorizer " + p
	}
	return p
}

// checkMounts returns an error for each prefix that is mounted more than once.
func checkMounts(apps []App) []error {
	var errs []error
	places := make(map[string]string)
	for _, a := range apps {
		p := a.mountPoint()
		if first, taken := places[p]; taken {
			errs = append(errs, fmt.Errorf("%s: prefix %q is mounted twice, the first time by %s: give one of them another prefix, or remove it",
				a.place(), a.Prefix, first))
			continue
		}
		places[p] = a.place()
	}
	return errs
}
