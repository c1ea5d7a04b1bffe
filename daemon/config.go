package daemon

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"strconv"
	"strings"

	"gatehouse/cgi"
)

// maxConfig bounds a configuration file, in bytes.
const maxConfig = 4 << 20

// A Config is what a daemon serves, and how. The zero value, with
// [Config.Defaults], serves the demo application.
type Config struct {
	// FastCGI, SCGI and HTTP are where the daemon listens. Without any it serves what
	// the process was started with.
	FastCGI, SCGI, HTTP []Address

	// Allow lists the TCP peers that may connect to what does not listen on loopback.
	Allow []netip.Prefix

	// AllowUsers lists the ids of the users whose processes may connect to unix sockets;
	// empty means all that their permissions let.
	AllowUsers []uint32

	// NoMultiplexing keeps FastCGI connections to one request at a time.
	NoMultiplexing bool

	// AccessLog is "off" (or empty), "stderr", or the path of a file.
	AccessLog string

	// Validate checks every request, and the answers of the applications; see
	// package validate.
	Validate bool

	// Paths names the quirks of the web server where it reports paths.
	Paths cgi.PathPolicy

	// Apps are the applications. Without any, the demo is mounted at "/".
	Apps []App

	// Limits bound everything.
	Limits Limits
}

// LoadConfig reads a configuration file in TOML. The error holds all that is
// wrong with it, one line for each, as [ConfigError].
func LoadConfig(file string) (*Config, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, configFileError(file, err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxConfig+1))
	if err != nil {
		return nil, configFileError(file, err)
	}
	if len(data) > maxConfig {
		return nil, &ConfigError{File: file, Err: fmt.Errorf("the file is longer than %d bytes", maxConfig)}
	}
	return ParseConfig(file, data)
}

func configFileError(file string, err error) error {
	info, unreachable := os.Stat(file)
	switch {
	case os.IsNotExist(err):
		err = errors.New("no such file: write another one after --config")
	case errors.Is(err, fs.ErrPermission) && unreachable != nil:
		return errUnreachable(file)
	case errors.Is(err, fs.ErrPermission):
		err = fmt.Errorf("%w: let %s read it, or start gatehouse as another user", bare(err), thisUser())
	case unreachable == nil && info.IsDir():
		err = errors.New("is a directory: write the path of a file after --config")
	}
	return &ConfigError{File: file, Err: bare(err)}
}

// ParseConfig reads a configuration as LoadConfig does. The file's name is for
// messages.
func ParseConfig(file string, data []byte) (*Config, error) {
	doc, err := parseDocument(file, data)
	if err != nil {
		return nil, err
	}
	c := new(Config)
	top := &table{doc: doc, values: doc.values}
	top.list("fastcgi", addAddress(&c.FastCGI))
	top.list("scgi", addAddress(&c.SCGI))
	top.list("http", addAddress(&c.HTTP))
	top.list("allow", func(s string) error {
		p, err := ParseAllow(s)
		c.Allow = append(c.Allow, p)
		return err
	})
	top.list("allow_users", func(s string) error {
		uid, err := ParseUser(s)
		c.AllowUsers = append(c.AllowUsers, uid)
		return err
	})
	top.boolean("multiplex", func(on bool) { c.NoMultiplexing = !on })
	top.str("access_log", func(s string) error {
		c.AccessLog = s
		if s != "off" && s != "stderr" {
			if err := checkAbsolute(s); err != nil {
				return err
			}
		}
		return checkAccessLog(s)
	})
	top.str("paths", func(s string) error {
		p, ok := cgi.ParsePathPolicy(s)
		if !ok {
			return fmt.Errorf("%q is not one of auto, nginx, apache, iis and keep", s)
		}
		c.Paths = p
		return nil
	})
	top.boolean("validate", func(on bool) { c.Validate = on })
	top.limits(&c.Limits, false)
	c.parseApps(top)
	if errs := top.end(); len(errs) > 0 {
		sortByPlace(errs)
		return nil, errors.Join(errs...)
	}
	return c, nil
}

func addAddress(list *[]Address) func(string) error {
	return func(s string) error {
		a, err := ParseAddress(s)
		*list = append(*list, a)
		if err == nil && a.Kind == AddressUnix {
			err = checkAbsolute(a.Path)
		}
		return err
	}
}

// limits takes the keys of the table of limits.
func (t *table) limits(l *Limits, perApp bool) {
	for _, row := range LimitTable() {
		if perApp && !row.PerApp {
			continue
		}
		if v, ok := t.take(row.Key); ok {
			if err := row.Set(l, v); err != nil {
				t.fail(row.Key, err)
			}
		}
	}
}

// parseApps takes the array of tables "app". The limits of the whole are known
// by now, and those of an application start from them.
func (c *Config) parseApps(top *table) {
	v, ok := top.take("app")
	if !ok {
		return
	}
	list, ok := v.([]any)
	if !ok {
		top.fail("app", errors.New("applications are written as [[app]], in double brackets"))
		return
	}
	for i, item := range list {
		values, ok := item.(map[string]any)
		if !ok {
			top.fail("app", errors.New("applications are written as [[app]], in double brackets"))
			return
		}
		t := &table{doc: top.doc, path: "app." + strconv.Itoa(i), values: values}
		a, errs := t.app(c.Limits)
		c.Apps = append(c.Apps, a)
		top.errs = append(top.errs, errs...)
	}
}

// app takes one application, and returns what is wrong with it.
func (t *table) app(limits Limits) (a App, errs []error) {
	a = App{Prefix: "/", Limits: limits.Programs}
	a.Source = t.place("prefix")
	t.str("prefix", func(s string) error {
		a.Prefix = s
		return checkPrefix(s)
	})
	var kinds []string
	choose := func(kind AppKind) {
		a.Kind = kind
		kinds = append(kinds, string(kind))
	}
	if t.list("scripts", absolute(a.addRoot)) {
		choose(AppScripts)
	}
	if _, given := t.values[string(AppFiles)]; given {
		choose(AppFiles)
	}
	t.str(string(AppFiles), absolute(a.setDir))
	t.boolean("hidden", func(on bool) { a.Hidden = on })
	for _, kind := range []AppKind{AppDemo, AppHello} {
		t.boolean(string(kind), func(on bool) {
			if on {
				choose(kind)
			}
		})
	}
	t.later = laterKinds
	for _, key := range laterKinds {
		if _, ok := t.values[key]; ok {
			kinds = append(kinds, key)
			t.fail(key, errLater(key))
		}
	}
	t.list("follow", a.addFollow)
	t.strings("env", a.addEnv)
	t.list("inherit", a.addInherit)
	t.str("stderr", a.setStderr)
	t.str("role", a.setRole)
	t.boolean("pass_authorization", func(on bool) { a.PassAuthorization = on })
	ofPrograms := append(t.confinement(&a), t.answers(&a)...)
	own := limits
	t.limits(&own, true)
	a.Limits = own.Programs
	errs = t.end()
	switch {
	case len(kinds) == 0 && len(errs) == 0:
		errs = append(errs, t.doc.errorf(t.path, `application %q does nothing: write scripts = "DIR", files = "DIR", demo = true or hello = true`, a.Prefix))
	case a.Kind != AppScripts && len(kinds) == 1 && (len(a.Follow)+len(a.Env)+len(a.Inherit) > 0 || a.InheritAll || a.PassAuthorization || a.Authorizer || a.StderrToClient):
		errs = append(errs, t.doc.errorf(t.path, "application %q runs no programs: follow, env, inherit, role, stderr and pass_authorization go with scripts", a.Prefix))
	case a.Kind != AppScripts && len(kinds) == 1 && len(ofPrograms) > 0:
		errs = append(errs, t.doc.errorf(t.path, "application %q runs no programs: %s goes with scripts", a.Prefix, ofPrograms[0]))
	case a.Kind != AppFiles && len(kinds) == 1 && a.Hidden:
		errs = append(errs, t.doc.errorf(t.path, "application %q serves no files: hidden goes with files", a.Prefix))
	case len(kinds) > 1:
		errs = append(errs, t.doc.errorf(t.path, "application %q is more than one thing (%s): write an [[app]] for each",
			a.Prefix, strings.Join(kinds, ", ")))
	}
	return a, errs
}

// Defaults returns c with what it leaves out: the demo application at "/".
func (c Config) Defaults() Config {
	if len(c.Apps) == 0 {
		c.Apps = []App{{Prefix: "/", Kind: AppDemo, Limits: c.Limits.Programs}}
	}
	return c
}

// Listens reports whether c says where to listen.
func (c *Config) Listens() bool { return len(c.FastCGI)+len(c.SCGI)+len(c.HTTP) > 0 }
