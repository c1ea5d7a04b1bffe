package pool

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"gatehouse/cgi/process"
)

// What PHP takes from its environment.
const (
	phpRequests = "PHP_FCGI_MAX_REQUESTS"
	phpChildren = "PHP_FCGI_CHILDREN"
)

// checkEnvironment returns what is wrong with Env.
func (a *App) checkEnvironment() error {
	var errs []error
	for _, v := range a.Env {
		name, value, ok := strings.Cut(v, "=")
		switch {
		case !ok || name == "" || strings.IndexByte(v, 0) >= 0:
			errs = append(errs, fmt.Errorf("env: %q is not NAME=VALUE", v))
		case name == phpChildren && value != "" && value != "0":
			errs = append(errs, fmt.Errorf("env: %s: the processes are kept by gatehouse: remove it, and write programs = %s", name, value))
		}
	}
	return errors.Join(errs...)
}

// environment returns that of the program.
func (a *App) environment(path string) (vars []string) {
	add := func(name, value string) {
		if !slices.ContainsFunc(vars, func(v string) bool { return strings.HasPrefix(v, name+"=") }) {
			vars = append(vars, name+"="+value)
		}
	}
	for _, v := range slices.Backward(a.Env) { // the last one counts
		name, value, _ := strings.Cut(v, "=")
		add(name, value)
	}
	if !a.Paired { // PHP is none of those
		add(phpRequests, "0")
	}
	if a.RunAs != (process.RunAs{}) {
		if home := a.launcher.Home(path); home != "" {
			add("HOME", home)
		}
	}
	names := a.Inherit
	if names == nil {
		names = []string{"PATH", "LANG", "TZ"}
	}
	for _, name := range names {
		if value, ok := os.LookupEnv(name); ok && name != phpChildren {
			add(name, value)
		}
	}
	return vars
}
