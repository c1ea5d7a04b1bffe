package script

import (
	"context"
	"log/slog"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"

	"gatehouse/cgi"
	"gatehouse/cgi/process"
)

// inherited returns what programs get from this process's environment.
func inherited(names []string) (vars []string) {
	if names == nil {
		names = []string{"PATH", "LANG", "TZ"}
		if runtime.GOOS == "windows" {
			names = append(names, "SystemRoot", "SystemDrive", "ComSpec", "PATHEXT", "TEMP", "TMP", "windir") // without the first few programs start there
		}
	}
	for _, n := range names {
		if v, ok := os.LookupEnv(n); ok {
			vars = append(vars, n+"="+v)
		}
	}
	return vars
}

// requestNames are the variables that only a request has. They are never inherited,
// and neither is what begins with HTTP: the list of fcgiwrap, and REQUEST_ID.
var requestNames = []string{
	"AUTH_TYPE", "CONTENT_LENGTH", "CONTENT_TYPE", "GATEWAY_INTERFACE", "PATH_INFO", "PATH_TRANSLATED", "QUERY_STRING",
	"REMOTE_ADDR", "REMOTE_HOST", "REMOTE_IDENT", "REMOTE_USER", "REQUEST_ID", "REQUEST_METHOD", "SCRIPT_NAME", "SERVER_NAME",
	"SERVER_PORT", "SERVER_PROTOCOL", "SERVER_SOFTWARE",
}

// inheritedAll returns what programs get of environ with InheritAll.
func inheritedAll(environ []string) (vars []string) {
	for _, v := range environ {
		name, _, ok := strings.Cut(v, "=")
		switch {
		case !ok || name == "": // Windows keeps directories in such
		case len(name) > len("HTTP") && strings.HasPrefix(name, "HTTP"):
		case slices.Contains(requestNames, name), process.IsManagers(name):
		case names(vars, name): // the first counts, as for getenv
		default:
			vars = append(vars, v)
		}
	}
	return vars
}

// refuses returns why a variable that the web server sent does not reach a program,
// or "". HTTP_PROXY is the header "Proxy", which libraries take for configuration;
// HTTP_REDIRECT_STATUS lets clients call php-cgi itself; LD_* and BASH_FUNC* run code; passwords are nobody's business but the web server's.
func (a *App) refuses(name, value string) (reason string) {
	switch {
	case name == "":
		return "it has no name"
	case strings.IndexByte(name, '=') >= 0:
		return "its name has an equals sign"
	case strings.IndexByte(name, 0) >= 0:
		return "its name has a NUL byte"
	case strings.IndexByte(value, 0) >= 0:
		return "its value has a NUL byte"
	case strings.HasPrefix(name, "LD_"):
		return "the dynamic loader would take it for its own"
	case strings.HasPrefix(name, "BASH_FUNC"):
		return "bash would run it"
	case strings.EqualFold(name, "HTTP_PROXY"):
		return "libraries take it for the configuration of a proxy"
	case name == "HTTP_REDIRECT_STATUS":
		return "php-cgi takes it for the web server's REDIRECT_STATUS"
	case strings.EqualFold(name, "HTTP_PROXY_AUTHORIZATION"):
		return "it is the password for a proxy"
	case (strings.EqualFold(name, "HTTP_AUTHORIZATION") || strings.EqualFold(name, "AUTH_PASSWORD")) && !a.PassAuthorization:
		return "it is a password (pass_authorization = true lets it pass)"
	}
	return ""
}

// maxDropped bounds the names that are remembered as logged.
const maxDropped = 64

// maxDroppedName bounds what is kept, and logged, of such a name.
const maxDroppedName = 100

// notedNames logs each name of a variable once.
type notedNames struct {
	log     *slog.Logger
	message string // what is logged of it
	beyond  string // what is logged when there are too many

	mu    sync.Mutex
	names map[string]bool
}

// note logs a name, unless it has been logged, or too many have.
func (d *notedNames) note(name, reason string) {
	name = name[:min(len(name), maxDroppedName)]
	d.mu.Lock()
	known := d.names[name] || len(d.names) >= maxDropped
	if !known {
		if d.names == nil {
			d.names = make(map[string]bool)
		}
		d.names[strings.Clone(name)] = true
	}
	full := !known && len(d.names) == maxDropped
	d.mu.Unlock()
	if known {
		return
	}
	d.log.LogAttrs(context.Background(), slog.LevelInfo, d.message,
		slog.String("variable", name), slog.String("reason", reason))
	if full {
		d.log.LogAttrs(context.Background(), slog.LevelInfo, d.beyond,
			slog.Int("limit", maxDropped))
	}
}

// environment is the environment of one program under construction.
type environment struct {
	text strings.Builder
	ends []int
}

func (e *environment) add(name, value string) {
	e.text.WriteString(name)
	e.text.WriteByte('=')
	e.text.WriteString(value)
	e.ends = append(e.ends, e.text.Len())
}

// strings returns the variables, as parts of one string.
func (e *environment) strings() []string {
	text, start := e.text.String(), 0
	vars := make([]string, 0, len(e.ends))
	for _, end := range e.ends {
		vars = append(vars, text[start:end])
		start = end
	}
	return vars
}

// A setting is a variable that this package settles.
type setting struct {
	name, value string
	unset       bool
	reason      string // to tell why what was sent does not reach the program
}

// environment returns the environment of the program t for r: what the web server
// sent, with the variables that RFC 3875 § 4.1 requires guaranteed, then the
// application's own, then what is inherited, and the HOME of another user. Among these
// the application's own win, and what is inherited yields to both.
//
// dropped is called for each variable that the web server sent and that is left out.
func (a *App) environment(r *cgi.Request, t *target, length int64, dropped func(name, reason string)) []string {
	manner := a.Manner.finder()
	var own [24]setting
	settled := own[:0]
	if sent := r.Env.Get("CONTENT_LENGTH"); length > 0 || sent != "" {
		settled = append(settled, setting{name: "CONTENT_LENGTH", value: strconv.FormatInt(length, 10)})
	}
	settled = manner.settings(settled, r, t)
	var e environment
	e.text.Grow(2048)
	e.ends = make([]int, 0, r.Env.Len()+len(settled)+len(a.Env)+len(a.state.inherited)+1)
	for name, value := range r.Env.All() {
		if names(a.Env, name) {
			continue
		}
		if s := find(settled, name); s != nil {
			if s.reason != "" {
				dropped(name, s.reason)
			}
			continue
		}
		value = manner.sent(r.Env, name, value)
		if reason := a.refuses(name, value); reason != "" {
			dropped(name, reason)
			continue
		}
		e.add(name, value)
	}
	for _, s := range settled {
		if !s.unset && strings.IndexByte(s.value, 0) < 0 && !names(a.Env, s.name) {
			e.add(s.name, s.value)
		}
	}
	for i, v := range a.Env {
		name, value, ok := strings.Cut(v, "=")
		if ok && name != "" && !names(a.Env[i+1:], name) {
			e.add(name, value)
		}
	}
	home := a.home(t)
	for _, v := range a.state.inherited {
		name, value, _ := strings.Cut(v, "=")
		if home != "" && name == "HOME" {
			continue
		}
		sent, is := r.Env.Lookup(name)
		if is = is && a.refuses(name, sent) == ""; !is && !names(a.Env, name) {
			e.add(name, value)
		}
	}
	if _, sent := r.Env.Lookup("HOME"); home != "" && !sent && !names(a.Env, "HOME") {
		e.add("HOME", home)
	}
	return e.strings()
}

// home returns the HOME of the program t where it runs as another user, or "".
func (a *App) home(t *target) string {
	if a.RunAs == (process.RunAs{}) {
		return ""
	}
	return a.state.launcher.Home(t.path)
}

// pathSettings appends, for the manners that pass variables on as they were sent, what
// the split of the path or a Mux in front has changed.
func pathSettings(s []setting, r *cgi.Request, t *target) []setting {
	if _, _, mounted := r.Mounted(); t.split || mounted {
		s = append(s, setting{name: "SCRIPT_NAME", value: t.scriptName},
			setting{name: "PATH_INFO", value: t.pathInfo, unset: !t.hasPathInfo})
	}
	return s
}

func find(s []setting, name string) *setting {
	for i := range s {
		if s[i].name == name {
			return &s[i]
		}
	}
	return nil
}

// names reports whether one of vars, "NAME=VALUE", sets name.
func names(vars []string, name string) bool {
	for _, v := range vars {
		if len(v) > len(name) && v[len(name)] == '=' && v[:len(name)] == name {
			return true
		}
	}
	return false
}
