package daemon

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"gatehouse"
	"gatehouse/cgi"
)

// maxConfig bounds a configuration file, in bytes.
const maxConfig = 4 << 20

// A Config says what a daemon serves, and how. The zero value serves the demo
// application.
type Config struct {
	// FastCGI, SCGI and HTTP are where the daemon listens. If all are empty, it serves
	// what the process was started with.
	FastCGI, SCGI, HTTP []Address

	// Allow lists the TCP peers that may connect to addresses other than loopback.
	Allow []netip.Prefix

	// Admin says where the daemon shows what it does.
	Admin Admin

	// AllowUsers lists the ids of the users whose processes may connect to unix sockets.
	// If it is empty, only the permissions of the sockets decide.
	AllowUsers []uint32

	// TrustedProxies lists the reverse proxies that are trusted to say, over HTTP, who their
	// clients are, and TrustUnixProxies says that all peers on unix sockets are; see
	// gatehouse.Server.
	TrustedProxies   []netip.Prefix
	TrustUnixProxies bool

	// NoMultiplexing keeps FastCGI connections to one request at a time.
	NoMultiplexing bool

	// Log is where the log goes: "stderr" (or empty), "syslog", "syslog:server=..." or the path
	// of a file; LogFormat is its form.
	Log       string
	LogFormat LogFormat

	// AccessLog is where requests are logged: "off" (or empty), or a place as for Log.
	// AccessLogFormat is the name of a format or a template; empty for "common" or, where
	// the log goes to the same place, the form of the log.
	AccessLog       string
	AccessLogFormat string

	// RequestIDFrom is the variable that has the id of a request; see cgi.Handler.
	RequestIDFrom string

	// PlainErrorPages leaves the id of the request out of error pages.
	PlainErrorPages bool

	// PIDFile is the path of a file that holds the number of the process while it serves;
	// empty for none.
	PIDFile string

	// Ping is a path at which the daemon itself responds to every request, with 200 while it
	// is [Daemon.Ready], otherwise with 503; empty for none.
	Ping string

	// File is where the configuration comes from, for messages; empty for none.
	File string

	// Validate checks every request and response; see package validate.
	Validate bool

	// ReloadOnChange reloads the configuration when the sources of an application in Python
	// have changed; see package sources.
	ReloadOnChange bool

	// Paths says how the web server reports paths.
	Paths cgi.PathPolicy

	// IdleExit, if not zero, ends the daemon when it has had no request for that long; see
	// gatehouse.Server.
	IdleExit time.Duration

	// Apps are the applications. If it is empty, the demo is mounted at "/".
	Apps []App

	// Limits are the limits of the daemon and its applications.
	Limits Limits
}

// LoadConfig reads a configuration file in TOML. The error joins a [ConfigError] for
// everything that is wrong, one line each.
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
		err = errors.New("no such file: create it, or write another one after --config")
	case errors.Is(err, fs.ErrPermission) && unreachable != nil:
		return errUnreachable(file)
	case errors.Is(err, fs.ErrPermission):
		err = fmt.Errorf("%w: let %s read it, or start gatehouse as another user", bare(err), thisUser())
	case unreachable == nil && info.IsDir():
		err = errors.New("is a directory: write the path of a file after --config")
	}
	return &ConfigError{File: file, Err: bare(err)}
}

// ParseConfig parses a configuration as LoadConfig does. The name of the file is used
// only in messages.
func ParseConfig(file string, data []byte) (*Config, error) {
	doc, err := parseDocument(file, data)
	if err != nil {
		return nil, err
	}
	c := &Config{File: file}
	top := &table{doc: doc, values: doc.values}
	top.set(c.keys()...)
	top.limits(&c.Limits, false)
	if errs := c.parseApps(top); len(errs) > 0 {
		sortByPlace(errs)
		return nil, errors.Join(errs...)
	}
	return c, nil
}

// keys returns the keys of the top level, without the limits and the applications.
func (c *Config) keys() []Key {
	return append([]Key{
		row("fastcgi", `["unix:/run/gatehouse/fastcgi.sock,group=www-data"]`, "where to listen for FastCGI: an address, or a list of them", each(addAddress(&c.FastCGI))),
		row("scgi", `"127.0.0.1:4000"`, "where to listen for SCGI", each(addAddress(&c.SCGI))),
		row("http", `"127.0.0.1:8080"`, "where to listen for HTTP", each(addAddress(&c.HTTP))),
		row("allow", `["192.0.2.7", "10.0.0.0/8"]`, "TCP peers that may connect; needed unless the address is loopback", each(addParsed(&c.Allow, ParseAllow))),
		row("allow_users", `["www-data", "1001"]`, "users whose processes may connect to unix sockets (Linux); by default, the mode of the socket decides", each(addParsed(&c.AllowUsers, ParseUser))),
		row("trusted_proxies", `["192.0.2.7", "unix"]`, `reverse proxies whose X-Forwarded-For, X-Forwarded-Proto and Forwarded count, over HTTP; "unix": all on unix sockets`, each(c.AddTrustedProxy)),
		row("multiplex", `true`, "false: only one request at a time on a FastCGI connection (CANT_MPX_CONN)", noFlag(&c.NoMultiplexing)),
		row("log", `"stderr"`, `where the log goes: "stderr", "syslog", "syslog:server=HOST:PORT", or a file`, text(c.setLog)),
		row("log_format", `"json"`, `text, json, or journald for entries with priorities and fields; by default text on a terminal, json elsewhere`, choice(&c.LogFormat, ParseLogFormat, "auto, text, json and journald")),
		row("access_log", `"off"`, `where to log requests: "off", or a place as for log`, text(c.setAccessLog)),
		row("access_log_format", `"combined"`, `common (the default), combined, json, or a template such as '$remote_addr "$request" $status $request_time'`, text(c.setAccessLogFormat)),
		row("request_id_header", `"X-Request-Id"`, `the header field that has the id of a request; by default gatehouse makes one`, text(c.setRequestIDHeader)),
		row("pid_file", `"/run/gatehouse/gatehouse.pid"`, "a file that holds the process number; systemd needs none", text(c.setPIDFile)),
		row("ping", `"/ping"`, "a path for health checks, at which gatehouse itself responds: with 200, and with 503 once it has been asked to stop", text(c.setPing)),
		row("paths", `"auto"`, "how the web server reports paths: auto, nginx, apache, iis, keep (as sent) or request (REQUEST_URI alone)", choice(&c.Paths, cgi.ParsePathPolicy, "auto, nginx, apache, iis, keep and request")),
		row("idle_exit", `"5m"`, "end when no request has come for that long, at least 1s: the sockets must be passed by systemd, which starts gatehouse again", text(setParsed(&c.IdleExit, ParseIdleExit))),
		row("validate", `false`, "true: check requests and responses, and log violations (for development)", flag(&c.Validate)),
		row("reload_on_change", `false`, "true: reload when a .py file of a wsgi application changes (for development)", flag(&c.ReloadOnChange)),
	}, c.Admin.keys()...)
}

// ParseIdleExit parses the value of idle_exit, such as "5m".
func ParseIdleExit(s string) (time.Duration, error) {
	n, err := parseDuration(s)
	if err != nil {
		return 0, err
	}
	d := time.Duration(n)
	if d <= 0 {
		return 0, fmt.Errorf("%q is not %s", s, UnitDuration)
	}
	return d, gatehouse.CheckIdleExit(d, nil)
}

// setParsed returns a function that parses a string and sets the result.
func setParsed[T any](field *T, parse func(string) (T, error)) func(string) error {
	return func(s string) (err error) {
		*field, err = parse(s)
		return err
	}
}

// addParsed returns a function that parses a string and adds the result.
func addParsed[T any](list *[]T, parse func(string) (T, error)) func(string) error {
	return func(s string) error {
		v, err := parse(s)
		*list = append(*list, v)
		return err
	}
}

func addAddress(list *[]Address) func(string) error {
	return addParsed(list, func(s string) (Address, error) {
		a, err := ParseAddress(s)
		if err == nil && a.Kind == AddressUnix {
			err = checkAbsolute(a.Path)
		}
		return a, err
	})
}

func (c *Config) setLog(s string) error {
	c.Log = s
	if err := checkAbsolutePlace(s); err != nil {
		return err
	}
	return checkLogPlace(s)
}

func (c *Config) setAccessLog(s string) error {
	c.AccessLog = s
	if err := checkAbsolutePlace(s); err != nil {
		return err
	}
	return checkAccessLog(s)
}

func (c *Config) setAccessLogFormat(s string) error {
	c.AccessLogFormat = s
	return checkAccessFormat(s)
}

// setRequestIDHeader sets the variable that has the value of a header field.
func (c *Config) setRequestIDHeader(s string) error {
	if !isHeaderName(s) {
		return fmt.Errorf("%q is not the name of a header field, such as X-Request-Id", s)
	}
	c.RequestIDFrom = "HTTP_" + strings.ToUpper(strings.ReplaceAll(s, "-", "_"))
	return nil
}

func isHeaderName(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return r != '-' && r != '_' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	})
}

func (c *Config) setPIDFile(s string) error {
	c.PIDFile = s
	return checkPIDFile(s)
}

// limits sets the keys that are limits.
func (t *table) limits(l *Limits, perApp bool) {
	for _, row := range LimitTable() {
		if perApp && !row.PerApp {
			continue
		}
		if v, ok := t.lookup(row.Key); ok {
			if err := row.Set(l, v); err != nil {
				t.fail(row.Key, err)
			}
		}
	}
}

// parseApps parses the applications, and returns what is wrong in the whole file. They are
// in the array of tables "app"; without one, the keys of a single application may be at the
// top level. The limits there, which are known by now, are the defaults of those in an
// application.
func (c *Config) parseApps(top *table) (errs []error) {
	v, ok := top.lookup("app")
	if !ok {
		a, errs := top.app(c.Limits)
		if a.Kind != nil {
			c.Apps = []App{a}
		}
		return errs
	}
	list, ok := v.([]any)
	for i, item := range list {
		var values map[string]any
		if values, ok = item.(map[string]any); !ok {
			break
		}
		t := &table{doc: top.doc, path: "app." + strconv.Itoa(i), values: values}
		a, wrong := t.app(c.Limits)
		c.Apps = append(c.Apps, a)
		errs = append(errs, wrong...)
	}
	if !ok {
		top.fail("app", errors.New("applications are written as [[app]], in double brackets"))
	}
	if strays := top.strays(); len(strays) > 0 {
		errs = append(errs, top.doc.errorf(strays[0], "%s: beside an [[app]], the keys of an application belong in one, too: write [[app]] in the line above %s",
			strings.Join(strays, ", "), strays[0]))
	}
	return append(errs, top.finish()...)
}

// strays returns the keys of an application that the top level has beside [[app]], in order.
// They are known from then on.
func (t *table) strays() (names []string) {
	for _, k := range KeyTable() {
		if _, given := t.values[k.Name]; given && k.PerApp && !slices.Contains(t.known, k.Name) {
			names = append(names, k.Name)
		}
	}
	t.doc.sort(names)
	t.known = append(t.known, names...)
	return names
}

// app parses the application in a table, and returns what is wrong with the table. At the
// top level, where fastcgi and scgi say where to listen, there may be none; then its Kind is
// nil.
func (t *table) app(limits Limits) (a App, errs []error) {
	elsewhere := slices.Clone(t.known)
	a = App{Prefix: "/"}
	t.set(a.keys()...)
	all := kinds()
	kinds := slices.DeleteFunc(slices.Clone(all), func(k Kind) bool { return slices.Contains(elsewhere, k.traits().name) })
	var chosen []string
	for _, k := range kinds {
		kind := k.traits()
		if v, given := t.values[kind.name]; given && (kind.target != "" || v == true) {
			a.Kind = k
			chosen = append(chosen, kind.name)
		}
	}
	var wrong []Key // keys of other kinds, first those that a message names together
	for _, k := range append([]Kind{a.Kind}, all...) {
		if k == nil {
			continue
		}
		for i, row := range k.keys() {
			said := len(t.errs)
			switch {
			case slices.Contains(t.known, row.Name) || !t.set(row) || k == a.Kind || i == 0:
			case row.mayHave(t.values[row.Name]) || row.mild && len(t.errs) > said:
			case row.together != "":
				wrong = slices.Insert(wrong, 0, row)
			default:
				wrong = append(wrong, row)
			}
		}
	}
	at := t.path
	if at == "" {
		given := slices.DeleteFunc(slices.Clone(t.known[len(elsewhere):]), func(key string) bool { _, ok := t.values[key]; return !ok })
		if len(given) == 0 {
			return App{}, t.finish()
		}
		t.doc.sort(given)
		at = given[0]
		a.Source = t.place(at)
	} else {
		a.Source = t.place("prefix")
		t.limits(&limits, true)
	}
	a.Limits, a.Slow = limits.Programs, limits.Slow
	var instead map[string]string
	if a.Kind != nil {
		instead = a.Kind.traits().instead
	}
	for _, row := range LimitTable() {
		if hint := instead[row.Key]; hint != "" && t.values[row.Key] != nil {
			t.fail(row.Key, errors.New(hint))
		}
	}
	errs = t.finish()
	switch {
	case len(chosen) == 0 && len(errs) == 0:
		errs = append(errs, t.doc.errorf(at, "application %q does nothing: write %s", a.Prefix, enumerate("or", kinds, traits.long)))
	case len(chosen) == 1 && len(wrong) > 0 && instead[wrong[0].Name] != "":
		errs = append(errs, t.doc.errorf(at, "application %q has no %s: %s", a.Prefix, wrong[0].Name, instead[wrong[0].Name]))
	case len(chosen) == 1 && len(wrong) > 0:
		errs = append(errs, t.doc.errorf(at, "application %q %s", a.Prefix, misplaced(wrong[0])))
	case len(chosen) > 1:
		hint := ""
		if i := slices.IndexFunc(chosen, func(name string) bool { return name == "fastcgi" || name == "scgi" }); i >= 0 {
			hint = fmt.Sprintf("; to listen there, write %s above the first [[app]]", chosen[i])
		}
		errs = append(errs, t.doc.errorf(at, "application %q is more than one thing (%s): write an [[app]] for each%s",
			a.Prefix, strings.Join(chosen, ", "), hint))
	}
	return a, errs
}

// Defaults returns c with the demo application at "/" if it has no application.
func (c Config) Defaults() Config {
	if len(c.Apps) == 0 {
		c.Apps = []App{{Prefix: "/", Source: c.File, Kind: Demo(), Limits: c.Limits.Programs, Slow: c.Limits.Slow}}
	}
	return c
}

// Listens reports whether c says where to listen.
func (c *Config) Listens() bool { return len(c.FastCGI)+len(c.SCGI)+len(c.HTTP) > 0 }
