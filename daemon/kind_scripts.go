package daemon

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"gatehouse/cgi"
	"gatehouse/cgi/script"
)

// A scriptsKind is the CGI programs in directories.
type scriptsKind struct {
	app        *script.App // as it is configured; prepare makes the one that runs
	authorizer bool
	examined   examined
}

// Scripts is the kind of an application that runs CGI programs. It holds a, of which
// Limits, Reaper and Log do not count: the daemon has its own.
func Scripts(a *script.App) Kind { return &scriptsKind{app: a} }

func (k *scriptsKind) traits() traits {
	return traits{
		name: "scripts", target: "DIR", noun: "directory", without: "runs no programs",
		authorizer: k.authorizer,
		starts:     true,
		unchanged:  k.app.RunAs == script.RunAs{},
		asSent:     k.app.Manner != script.Gatehouse,
	}
}

// basics are the keys of programs that a message names together.
const basics = "follow, env, inherit, role, stderr and pass_authorization"

func (k *scriptsKind) keys() []Key {
	a := k.app
	r, c, g := &a.RunAs, &a.Confinement, &a.Cgroup
	return []Key{
		{Name: "scripts", Example: `"/usr/lib/cgi-bin"`, Text: "a directory of CGI programs, a program, or a list of them, tried in turn",
			set: each(absolute(k.parse))},
		{Name: "follow", Example: `["/usr/share/gitweb"]`, Text: "directories outside, where symlinks to programs may lead",
			set: each(k.addFollow), harmless: isEmpty, together: basics},
		{Name: "only", Example: `["*.cgi", "tools/*"]`, Text: "the programs in these directories that may run; all if left out",
			set: patterns(&a.Only, "*.cgi")},
		{Name: "env", Example: `{ GIT_PROJECT_ROOT = "/srv/git" }`, Text: "variables of the programs, whatever the web server sends",
			set: pairs(k.addEnv), harmless: isEmpty, together: basics},
		{Name: "inherit", Example: `["PATH", "LANG", "TZ"]`, Text: "what programs get of gatehouse's own environment; these if left out, the whole with \"all\"",
			set: each(k.addInherit), harmless: isEmpty, together: basics},
		{Name: "stderr", Example: `"log"`, Text: `where the programs' stderr goes: or "client", the web server's error log (FastCGI only)`,
			set: text(k.setStderr), harmless: isText("log"), together: basics},
		{Name: "pass_authorization", Example: `false`, Text: "true: programs get the client's password (HTTP_AUTHORIZATION, AUTH_PASSWORD)",
			set: flag(&a.PassAuthorization), harmless: isFalse, together: basics},
		{Name: "role", Example: `"responder"`, Text: `or "authorizer": the programs answer FastCGI's requests of that role`,
			set: text(k.setRole), harmless: isText("responder"), together: basics},
		{Name: "user", Example: `"www-data"`, Text: "the user of the programs, if gatehouse is started as root; a name or a number",
			set: name(&r.User)},
		{Name: "group", Example: `"www-data"`, Text: "with user: a group in place of its own",
			set: name(&r.Group)},
		{Name: "run_as", Example: `"owner"`, Text: "in place of user: programs run as their owners, with the checks of suexec",
			set: text(k.setRunAs)},
		{Name: "min_uid", Example: `1000`, Text: "with run_as: the lowest number of an owner",
			set: count(&r.MinUID, 1)},
		{Name: "min_gid", Example: `100`, Text: "with run_as: the lowest number of an owner's group",
			set: count(&r.MinGID, 1)},
		{Name: "check_owner", Example: `false`, Text: "true: a program and its directory must belong to root or to the user it runs as",
			set: flag(&c.CheckOwner)},
		{Name: "check_mode", Example: `false`, Text: "true: neither may be writable by group or others, and the program not set-user-ID",
			set: flag(&c.CheckMode)},
		{Name: "chroot", Example: `"/srv/jail"`, Text: "with user: a directory that becomes the programs' root; scripts lies in it",
			set: directory(&c.Chroot)},
		{Name: "umask", Example: `"027"`, Text: "of the programs",
			set: umask(&c.Umask)},
		{Name: "nice", Example: `10`, Text: "their niceness, from -20 to 19, the lowest priority",
			set: count(&c.Nice, -20)},
		{Name: "no_new_privs", Example: `false`, Text: "true: set-user-ID programs that they execute gain nothing",
			set: flag(&c.NoNewPrivs)},
		{Name: "no_core", Example: `false`, Text: "true: they leave no core files",
			set: flag(&c.NoCore)},
		{Name: "read_paths", Example: `["/usr", "/lib", "/etc"]`, Text: "all that they may read and execute, beside scripts and follow (Landlock)",
			set: paths(&c.Read)},
		{Name: "write_paths", Example: `["/srv/data"]`, Text: "all that they may change, and read",
			set: paths(&c.Write)},
		{Name: "cgroup", Example: `"/sys/fs/cgroup/system.slice/gatehouse.service"`, Text: "a delegated control group (version 2), in which they get one",
			set: directory(&g.Dir)},
		{Name: "cgroup_each", Example: `false`, Text: "true: each program gets one, and what is left in it at its end is killed",
			set: flag(&g.EachProgram)},
		{Name: "cgroup_memory", Example: `"512MiB"`, Text: "memory.max of that control group",
			set: size(&g.Memory)},
		{Name: "cgroup_processes", Example: `100`, Text: "pids.max of that control group",
			set: count(&g.Processes, 1)},
		{Name: "cgroup_cpu", Example: `1.5`, Text: "cpu.max of that control group, in processors",
			set: processors(&g.CPU)},
		{Name: "local_redirect", Example: `"auto"`, Text: `who follows a program's Location of this server: "client" (302) or "internal"; with auto, internal over HTTP alone`,
			set: text(k.setLocalRedirect)},
		{Name: "nph", Example: `["*.nph"]`, Text: `programs that answer with a whole HTTP response, beside those by the name nph-*`,
			set: patterns(&a.NPH, "*.nph")},
		{Name: "search_args", Example: `false`, Text: `true: programs get the words of a query like "one+two" as arguments, if all are harmless`,
			set: flag(&a.SearchArgs)},
	}
}

// parse adds a directory of programs, or a single program.
func (k *scriptsKind) parse(target string) error {
	if target == "" {
		return errors.New("empty path: write the directory of the programs")
	}
	path, err := filepath.Abs(target)
	if err != nil {
		return err
	}
	k.app.Roots = append(k.app.Roots, path)
	k.examined.add(path)
	return checkRoot(path)
}

// merge adds the directories of other, if they are programs of the same role.
func (k *scriptsKind) merge(other Kind) bool {
	o, ok := other.(*scriptsKind)
	if !ok || o.authorizer != k.authorizer {
		return false
	}
	k.app.Roots = append(k.app.Roots, o.app.Roots...)
	for path := range o.examined {
		k.examined.add(path)
	}
	return true
}

// addFollow adds a directory that symlinks may lead to.
func (k *scriptsKind) addFollow(s string) error {
	if s == "" {
		return errors.New("empty path: write the directory that symlinks may lead to")
	}
	if err := checkAbsolute(s); err != nil {
		return err
	}
	path := filepath.Clean(s)
	k.app.Follow = append(k.app.Follow, path)
	k.examined.add(path)
	return checkSearch(s)
}

func (k *scriptsKind) addEnv(name, value string) error {
	k.app.Env = append(k.app.Env, name+"="+value)
	if strings.IndexByte(value, 0) >= 0 {
		return errors.New("NUL byte in the value")
	}
	return checkVariable(name)
}

// addInherit adds a variable of gatehouse's own environment, or all of them.
func (k *scriptsKind) addInherit(name string) error {
	switch a := k.app; {
	case name == "all" && len(a.Inherit) == 0 && !a.InheritAll:
		a.InheritAll = true
		return nil
	case name == "all" || a.InheritAll:
		return errors.New(`"all" stands alone: write inherit = "all", or the names of variables`)
	}
	k.app.Inherit = append(k.app.Inherit, name)
	return checkVariable(name)
}

func checkVariable(name string) error {
	if name == "" || strings.ContainsAny(name, "=\x00") {
		return fmt.Errorf("%q is not the name of a variable", name)
	}
	return nil
}

func (k *scriptsKind) setStderr(s string) error {
	switch s {
	case "log", "client":
		k.app.StderrToClient = s == "client"
		return nil
	}
	return fmt.Errorf(`%q is neither "log" nor "client"`, s)
}

func (k *scriptsKind) setRole(s string) error {
	switch s {
	case "responder", "authorizer":
		k.authorizer = s == "authorizer"
		return nil
	case "filter":
		return errors.New(`a CGI program has no second input, so it cannot be a filter: write "responder" or "authorizer"`)
	}
	return fmt.Errorf(`unknown role %q: write "responder" or "authorizer"`, s)
}

func (k *scriptsKind) setRunAs(s string) error {
	k.app.RunAs.Owner = true
	if s != "owner" {
		return fmt.Errorf(`%q is not "owner": for a user write user = %q`, s, s)
	}
	return nil
}

func (k *scriptsKind) setLocalRedirect(s string) error {
	p, ok := cgi.ParseRedirectPolicy(s)
	if !ok {
		return fmt.Errorf("%q is not one of auto, client and internal", s)
	}
	k.app.LocalRedirect = p
	return nil
}

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

// examine returns what is wrong with the directories, unless that has been said when
// they were parsed. In the manner of other gateways programs may come later.
func (k *scriptsKind) examine() (errs []error) {
	for _, dir := range k.app.Roots {
		if k.app.Manner == script.Gatehouse && !k.examined.remove(dir) {
			errs = append(errs, checkAbsolute(dir), checkRoot(dir))
		}
	}
	for _, dir := range k.app.Follow {
		if !k.examined.remove(dir) {
			errs = append(errs, checkAbsolute(dir), checkSearch(dir))
		}
	}
	return errs
}

func (k *scriptsKind) prepare(p preparation) (cgi.App, func() error, error) {
	errs := k.examine()
	a := clone(k.app)
	a.Limits, a.Reaper, a.Log = p.limits, p.reaper, p.log
	if err := a.Prepare(); err != nil {
		relative := func(dir string) bool { return !filepath.IsAbs(dir) }
		if slices.ContainsFunc(slices.Concat(a.Roots, a.Follow), relative) {
			errs = append(errs, err)
		} else { // a line for each key
			for line := range strings.SplitSeq(err.Error(), "\n") {
				errs = append(errs, fmt.Errorf("%s: %s", p.place, line))
			}
		}
	}
	return a, a.Close, errors.Join(errs...)
}

// clone returns an App with the fields of a, which is not used for requests itself.
func clone(a *script.App) *script.App {
	c := new(script.App)
	from, to := reflect.ValueOf(a).Elem(), reflect.ValueOf(c).Elem()
	for i := range from.NumField() {
		if from.Type().Field(i).IsExported() {
			to.Field(i).Set(from.Field(i))
		}
	}
	return c
}

func (k *scriptsKind) configured() string {
	if k.app.Manner != script.Gatehouse {
		return k.app.Manner.String()
	}
	quoted := make([]string, len(k.app.Roots))
	for i, s := range k.app.Roots {
		quoted[i] = strconv.Quote(s)
	}
	if len(quoted) == 1 {
		return "scripts = " + quoted[0]
	}
	return "scripts = [" + strings.Join(quoted, ", ") + "]"
}
