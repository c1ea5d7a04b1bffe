package daemon

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"gatehouse/cgi"
	"gatehouse/cgi/files"
	"gatehouse/cgi/process"
	"gatehouse/cgi/script"
	"gatehouse/cgi/simpleserver"
)

// An AppKind says what an application is.
type AppKind string

// The kinds of applications.
const (
	AppDemo    AppKind = "demo"    // wsgiref's demo_app: shows what the web server sent
	AppHello   AppKind = "hello"   // "hello world\n", for measuring
	AppScripts AppKind = "scripts" // the CGI programs in directories
	AppFiles   AppKind = "files"   // the files of a directory
)

// laterKinds are the keys and kinds that have a meaning, but no code yet.
var laterKinds = []string{"fastcgi", "fastcgi_exec", "scgi"}

func errLater(kind string) error {
	return fmt.Errorf("kind %q is not available in this version: there are demo, hello, scripts and files", strings.ReplaceAll(kind, "_", "-"))
}

// An App is an application of a daemon and where it is mounted.
type App struct {
	Prefix string // begins with "/"
	Kind   AppKind

	// Source is where it is configured, as "FILE:LINE:COLUMN", for messages. It is
	// empty for a flag.
	Source string

	// For AppFiles; see files.App.
	Dir    string
	Hidden bool

	// The rest is for AppScripts; see script.App.
	Authorizer        bool // it answers FastCGI's Authorizer requests in place of the others
	Roots             []string
	Follow            []string
	Env               []string // "NAME=value"
	Inherit           []string
	InheritAll        bool
	PassAuthorization bool
	StderrToClient    bool
	Stderr            io.Writer
	Manner            script.Manner
	RunAs             process.RunAs
	Confinement       process.Confinement
	Cgroup            process.Cgroup
	LocalRedirect     cgi.RedirectPolicy
	NPH               []string
	Only              []string
	SearchArgs        bool
	Limits            script.Limits
}

// ParseApp reads [PREFIX=]KIND[:TARGET], such as "/=demo",
// "/cgi-bin=scripts:/usr/lib/cgi-bin" or "/static=files:/srv/static".
func ParseApp(s string) (App, error) {
	a := App{Prefix: "/"}
	rest := s
	if strings.HasPrefix(s, "/") {
		prefix, r, ok := strings.Cut(s, "=")
		if !ok {
			return App{}, fmt.Errorf("%q has no kind: write %s=demo, %s=hello, %s=scripts:DIR or %s=files:DIR", s, s, s, s, s)
		}
		a.Prefix, rest = prefix, r
		if err := checkPrefix(prefix); err != nil {
			return App{}, err
		}
	} else if prefix, r, ok := strings.Cut(s, "="); ok && !strings.Contains(prefix, ":") {
		return App{}, fmt.Errorf("%w: write /%s=%s", checkPrefix(prefix), prefix, r)
	}
	kind, target, hasTarget := strings.Cut(rest, ":")
	switch a.Kind = AppKind(kind); a.Kind {
	case AppDemo, AppHello:
		if hasTarget {
			return App{}, fmt.Errorf("%q: %s takes no target", s, kind)
		}
	case AppScripts:
		if target == "" {
			return App{}, fmt.Errorf("%q has no directory: write scripts:DIR", s)
		}
		if err := a.addRoot(target); err != nil {
			return App{}, err
		}
	case AppFiles:
		if target == "" {
			return App{}, fmt.Errorf("%q has no directory: write files:DIR", s)
		}
		if err := a.setDir(target); err != nil {
			return App{}, err
		}
	default:
		if slices.Contains(laterKinds, strings.ReplaceAll(kind, "-", "_")) {
			return App{}, errLater(kind)
		}
		hint := Suggest(kind, []string{"demo", "hello", "scripts", "files"})
		if hint == "" {
			hint = "there are demo, hello, scripts:DIR and files:DIR"
		}
		return App{}, fmt.Errorf("unknown kind of application %q: %s", kind, hint)
	}
	return a, nil
}

// AddApps appends applications given one by one. Directories of programs that
// are given for one prefix are the roots of one application.
func (c *Config) AddApps(apps ...App) {
	first := len(c.Apps)
	for _, a := range apps {
		a.Limits = c.Limits.Programs
		i := slices.IndexFunc(c.Apps[first:], func(b App) bool {
			return b.Prefix == a.Prefix && b.Kind == AppScripts && a.Kind == AppScripts && b.Authorizer == a.Authorizer
		})
		if i >= 0 {
			c.Apps[first+i].Roots = append(c.Apps[first+i].Roots, a.Roots...)
			continue
		}
		c.Apps = append(c.Apps, a)
	}
}

// place names an application in a message.
func (a App) place() string {
	if a.Source != "" {
		return a.Source
	}
	return "--app " + a.Prefix + "=" + string(a.Kind)
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

// addRoot adds a directory of programs, or a single program.
func (a *App) addRoot(s string) error {
	if s == "" {
		return errors.New("empty path: write the directory of the programs")
	}
	path, err := filepath.Abs(s)
	if err != nil {
		return err
	}
	a.Roots = append(a.Roots, path)
	return checkRoot(path)
}

// setDir sets the directory of files, which this process must be able to read.
func (a *App) setDir(s string) error {
	if s == "" {
		return errors.New("empty path: write the directory of the files")
	}
	path, err := filepath.Abs(s)
	if err != nil {
		return err
	}
	a.Dir = path
	return a.checkFiles()
}

// checkFiles returns what is wrong with the directory of files.
func (a App) checkFiles() error {
	if err := checkDirectory(a.Dir); err != nil {
		return err
	}
	err := a.files().Check()
	if errors.Is(err, fs.ErrPermission) {
		err = fmt.Errorf("%w: the user that runs gatehouse needs r and x there", err)
	}
	return err
}

func (a App) files() *files.App { return &files.App{Dir: a.Dir, Hidden: a.Hidden} }

// checkRoot returns what is wrong with a directory of programs, or a program.
func checkRoot(path string) error {
	info, err := os.Stat(path)
	switch {
	case os.IsNotExist(err) && firstMissing(path) == path:
		return fmt.Errorf("%s does not exist: write a directory of programs, or one program", path)
	case err != nil || info.IsDir():
		return checkSearch(path)
	case !info.Mode().IsRegular():
		return fmt.Errorf("%s is neither a directory nor a program: write a directory of programs, or one program", path)
	case info.Mode()&0o111 == 0 && filepath.Separator == '/':
		return fmt.Errorf("%s is not executable: it needs an x bit to be a program (chmod +x)", path)
	}
	if err := mayRun(path); err != nil {
		return fmt.Errorf("%s cannot be run by %s: %w: give it the x bit for that user (chmod), or start gatehouse as another user",
			path, thisUser(), bare(err))
	}
	return nil
}

// addFollow adds a directory that symlinks may lead to.
func (a *App) addFollow(s string) error {
	if s == "" {
		return errors.New("empty path: write the directory that symlinks may lead to")
	}
	if err := checkAbsolute(s); err != nil {
		return err
	}
	a.Follow = append(a.Follow, filepath.Clean(s))
	return checkSearch(s)
}

// check returns what is wrong with the directories of the application.
func (a App) check() []error {
	var errs []error
	if a.Kind == AppFiles {
		errs = append(errs, checkAbsolute(a.Dir), a.checkFiles())
	}
	for _, dir := range a.Roots {
		if a.Manner != script.Gatehouse {
			break // programs that may come later, as for those who have that manner
		}
		errs = append(errs, checkAbsolute(dir), checkRoot(dir))
	}
	for _, dir := range a.Follow {
		errs = append(errs, checkAbsolute(dir), checkSearch(dir))
	}
	if a.Kind == AppScripts {
		errs = append(errs, a.checkConfinement()...)
	}
	return errs
}

func (a *App) addEnv(name, value string) error {
	a.Env = append(a.Env, name+"="+value)
	if strings.IndexByte(value, 0) >= 0 {
		return errors.New("NUL byte in the value")
	}
	return checkVariable(name)
}

func checkVariable(name string) error {
	if name == "" || strings.ContainsAny(name, "=\x00") {
		return fmt.Errorf("%q is not the name of a variable", name)
	}
	return nil
}

// helloFields is the head of the hello application.
var helloFields = []cgi.Field{{Name: "Content-Type", Value: "text/plain; charset=utf-8"}}

var helloText = []byte("hello world\n")

// hello answers "hello world\n" and allocates nothing.
func hello(w cgi.ResponseWriter, _ *cgi.Request) error {
	if err := w.StartResponse("200 OK", helloFields); err != nil {
		return err
	}
	_, err := w.Write(helloText)
	return err
}

// runsPrograms reports whether the application starts processes.
func (a App) runsPrograms() bool { return a.Kind == AppScripts }

// scripts makes an application that runs programs.
func (a App) scripts(log *slog.Logger, reaper *process.Reaper) *script.App {
	return &script.App{
		Roots:             a.Roots,
		Follow:            a.Follow,
		Env:               a.Env,
		PassAuthorization: a.PassAuthorization,
		LocalRedirect:     a.LocalRedirect,
		NPH:               a.NPH,
		Only:              a.Only,
		SearchArgs:        a.SearchArgs,
		Inherit:           a.Inherit,
		InheritAll:        a.InheritAll,
		StderrToClient:    a.StderrToClient,
		Stderr:            a.Stderr,
		Manner:            a.Manner,
		RunAs:             a.RunAs,
		Confinement:       a.Confinement,
		Cgroup:            a.Cgroup,
		Reaper:            reaper,
		Limits:            a.Limits,
		Log:               log,
	}
}

// open makes the application. The second result ends what it started, and may be
// nil.
func (a App) open(log *slog.Logger, reaper *process.Reaper) (cgi.App, func() error, error) {
	switch a.Kind {
	case AppDemo:
		return cgi.AppFunc(simpleserver.DemoApp), nil, nil
	case AppHello:
		return cgi.AppFunc(hello), nil, nil
	case AppScripts:
		s := a.scripts(log, reaper)
		return s, s.Close, s.Prepare()
	case AppFiles:
		f := a.files()
		if err := f.Check(); err != nil {
			return nil, nil, fmt.Errorf("application %q: %w", a.Prefix, err)
		}
		return f, nil, nil
	}
	return nil, nil, fmt.Errorf("application %q: %w", a.Prefix, errLater(string(a.Kind)))
}

// addInherit adds a variable of gatehouse's own environment, or all of them.
func (a *App) addInherit(name string) error {
	switch {
	case name == "all" && len(a.Inherit) == 0 && !a.InheritAll:
		a.InheritAll = true
		return nil
	case name == "all" || a.InheritAll:
		return errors.New(`"all" stands alone: write inherit = "all", or the names of variables`)
	}
	a.Inherit = append(a.Inherit, name)
	return checkVariable(name)
}

// setStderr sets where the programs' stderr goes.
func (a *App) setStderr(s string) error {
	switch s {
	case "log", "client":
		a.StderrToClient = s == "client"
		return nil
	}
	return fmt.Errorf(`%q is neither "log" nor "client"`, s)
}

// setRole sets which of FastCGI's roles the application plays.
func (a *App) setRole(s string) error {
	switch s {
	case "responder", "authorizer":
		a.Authorizer = s == "authorizer"
		return nil
	case "filter":
		return errors.New(`a CGI program has no second input, so it cannot be a filter: write "responder" or "authorizer"`)
	}
	return fmt.Errorf(`unknown role %q: write "responder" or "authorizer"`, s)
}
