package daemon

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"gatehouse/cgi"
	"gatehouse/cgi/process"
	"gatehouse/fastcgi/pool/python"
)

// A wsgiKind runs a WSGI application in Python, in workers.
type wsgiKind struct {
	app *python.App // as configured; prepare runs another one
}

// WSGI returns the kind of an application that runs a WSGI application in Python. It keeps a. The
// daemon sets those of its Limits that are limits of the configuration, its Reaper, its Validate
// and its Log.
func WSGI(a *python.App) Kind { return &wsgiKind{app: a} }

func (k *wsgiKind) traits() traits {
	return traits{name: "wsgi", target: "MODULE:ATTR", noun: "application", without: "is none in Python",
		instead: notOfWorkers,
		starts:  true, unchanged: k.app.RunAs == process.RunAs{}}
}

const keptConnection = "each worker has one connection, which is kept: remove this key"

// notOfWorkers are the keys of other kinds that an administrator may look for here.
var notOfWorkers = map[string]string{
	"programs": "its processes are workers: write workers",
	"run_as":   oneUser, "min_uid": oneUser, "min_gid": oneUser,
	"check_owner": oneProgram, "check_mode": oneProgram,
	"programs_per_script": "it has workers for all paths: write workers",
	"keep":                keptConnection, "keep_idle": keptConnection, "keep_requests": keptConnection, "dial": keptConnection,
	"connections":        "each worker has one connection: write workers",
	"stderr":             "what its workers write to stderr is in the log: remove this key",
	"pass_authorization": "its workers get all variables that the web server sends: remove this key",
	"root":               "the application finds its files itself: write directory for the project's folder",
	"index":              "the application finds its files itself: remove this key",
	"local_redirect":     "a WSGI application sends whole responses: remove this key",
	"role":               "a WSGI application is a responder: remove this key",
}

func (k *wsgiKind) keys() []Key {
	a := k.app
	return slices.Concat([]Key{
		row("wsgi", `"project.wsgi:application"`, "a WSGI application in Python, MODULE:ATTR, of which workers are started and kept", text(k.setApplication)),
		row("python", `"/srv/project/venv"`, "the virtual environment, or a Python; by default .venv or venv in directory, or else python3 in PATH", name(&a.Python)),
		row("workers", `3`, "processes of the application, and so requests at once; by default one more than there are processors", count(&a.Limits.Programs, 1)),
		row("minimum", `1`, "how many workers are kept without requests; all by default", value(k.setMinimum)),
		row("directory", `"/srv/project"`, "the folder in which the module is, which workers start in", laterDirectory(&a.Dir)),
		row("streaming", `false`, "as for scripts: a worker is taken before the body of a request has come", flag(&a.Streaming)),
	}, poolKeys(&a.Limits), environmentKeys(&a.Env, &a.Inherit, &a.InheritAll, &a.RunAs), confinementKeys(&a.Confinement, &a.Cgroup))
}

// parse sets the application of a flag: its module is in the current directory, and its workers
// have the environment that gatehouse was started in, as the commands have that are started beside it.
func (k *wsgiKind) parse(target string) (err error) {
	k.app.InheritAll = true
	if k.app.Dir, err = os.Getwd(); err != nil {
		return fmt.Errorf("the current directory, which is the folder of the application, cannot be found: %w", bare(err))
	}
	return k.setApplication(target)
}

func (k *wsgiKind) setApplication(s string) error {
	k.app.Application = s
	_, _, err := python.SplitApplication(s)
	return err
}

// setMinimum sets how many workers are kept, of which 0 is not the default.
func (k *wsgiKind) setMinimum(v any) error {
	least := &k.app.Limits.Minimum
	n, err := parseCount(v)
	if err == nil && n < 0 {
		err = fmt.Errorf("%s is less than 0", quoted(v))
	}
	*least = cmp.Or(int(n), -1)
	return err
}

// outside returns a path that the workers know as this process sees it.
func (k *wsgiKind) outside(path string) string { return filepath.Join(k.app.Confinement.Chroot, path) }

// sources returns where the modules of the project are.
func (k *wsgiKind) sources() (suffix string, dirs []string) {
	return ".py", []string{k.outside(k.app.Dir)}
}

// examine returns what is wrong with the project's folder, and with the module in it.
func (k *wsgiKind) examine() error {
	a := k.app
	module, _, err := python.SplitApplication(a.Application)
	if err != nil {
		return err
	}
	if a.Dir == "" {
		return fmt.Errorf("directory is missing: write the project's folder, in which the module %s is", module)
	}
	dir := k.outside(a.Dir)
	if err := checkDirectory(dir); err != nil {
		return fmt.Errorf("directory: %w", err)
	}
	i, err := python.FindInterpreter(a.Python, a.Dir, a.Confinement.Chroot)
	if err != nil {
		return fmt.Errorf("python: %w", err)
	}
	reads := []string{dir}
	if i.Venv != "" {
		reads = append(reads, i.Venv)
	}
	return checkReaders(a.RunAs, reads, i.Base)
}

func (k *wsgiKind) prepare(p preparation) (cgi.App, func() error, error) {
	c := k.app
	a := &python.App{Application: c.Application, Python: c.Python, Dir: c.Dir, Env: c.Env, Inherit: c.Inherit, InheritAll: c.InheritAll,
		RunAs: c.RunAs, Confinement: c.Confinement, Cgroup: c.Cgroup, Reaper: p.reaper, Validate: c.Validate || p.validate, Streaming: c.Streaming,
		Limits: poolLimits(c.Limits, p.limits), Log: p.log}
	a.Limits.Programs = c.Limits.Programs
	err := k.examine()
	if err == nil {
		err = a.Prepare()
	}
	return a, a.Close, placed(p, err)
}

// warnings tells of a module that will hardly be found.
func (k *wsgiKind) warnings(string) []string {
	module, _, err := python.SplitApplication(k.app.Application)
	if err != nil {
		return nil
	}
	i, err := python.FindInterpreter(k.app.Python, k.app.Dir, k.app.Confinement.Chroot)
	if err != nil {
		return nil
	}
	dir := k.outside(k.app.Dir)
	if python.FindModule(module, dir) != "" || i.MayHave(module) {
		return nil
	}
	return []string{fmt.Sprintf("wsgi: there is no module %s in %s (directory): workers will find it only if it is installed elsewhere", module, dir)}
}

func (k *wsgiKind) configured() string { return fmt.Sprintf("wsgi = %q", k.app.Application) }
