package daemon

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"gatehouse/cgi"
	"gatehouse/cgi/process"
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
		unchanged:  k.app.RunAs == process.RunAs{},
		asSent:     k.app.Manner != script.Gatehouse,
	}
}

// basics are the keys of programs that a message names together.
const basics = "follow, env, inherit, role, stderr and pass_authorization"

func (k *scriptsKind) keys() []Key {
	a := k.app
	r, c, g := &a.RunAs, &a.Confinement, &a.Cgroup
	return []Key{
		row("scripts", `"/usr/lib/cgi-bin"`, "a directory of CGI programs, a program, or a list of them, tried in turn", each(absolute(k.parse))),
		row("follow", `["/usr/share/gitweb"]`, "programs and directories outside, to which symlinks in there may lead", each(k.addFollow)).unless(nil, basics),
		row("only", `["*.cgi", "tools/*"]`, "the programs in these directories that may run; all if left out", patterns(&a.Only, "*.cgi")),
		row("env", `{ GIT_PROJECT_ROOT = "/srv/git" }`, "variables of the programs, whatever the web server sends", pairs(k.addEnv)).unless(nil, basics),
		row("inherit", `["PATH", "LANG", "TZ"]`, "what programs get of gatehouse's own environment; these if left out, the whole with \"all\"", each(k.addInherit)).unless(nil, basics),
		row("stderr", `"log"`, `where the programs' stderr goes: or "client", the web server's error log (FastCGI only)`, text(k.setStderr)).unless("log", basics),
		row("pass_authorization", `false`, "true: programs get the client's password (HTTP_AUTHORIZATION, AUTH_PASSWORD)", flag(&a.PassAuthorization)).unless(false, basics),
		row("role", `"responder"`, `or "authorizer": the programs answer FastCGI's requests of that role`, text(k.setRole)).unless("responder", basics),
		row("user", `"www-data"`, "the user of the programs, if gatehouse is started as root; a name or a number", name(&r.User)),
		row("group", `"www-data"`, "with user: a group in place of its own", name(&r.Group)),
		row("run_as", `"owner"`, "in place of user: programs run as their owners, with the checks of suexec", text(k.setRunAs)),
		row("min_uid", `1000`, "with run_as: the lowest number of an owner", count(&r.MinUID, 1)),
		row("min_gid", `100`, "with run_as: the lowest number of an owner's group", count(&r.MinGID, 1)),
		row("check_owner", `false`, "true: a program and its directory must belong to root or to the user it runs as", flag(&c.CheckOwner)),
		row("check_mode", `false`, "true: neither may be writable by group or others, and the program not set-user-ID", flag(&c.CheckMode)),
		row("chroot", `"/srv/jail"`, "with user: a directory that becomes the programs' root; scripts lies in it", directory(&c.Chroot)),
		row("umask", `"027"`, "of the programs", umask(&c.Umask)),
		row("nice", `10`, "their niceness, from -20 to 19, the lowest priority", count(&c.Nice, -20)),
		row("no_new_privs", `false`, "true: set-user-ID programs that they execute gain nothing", flag(&c.NoNewPrivs)),
		row("no_core", `false`, "true: they leave no core files", flag(&c.NoCore)),
		row("read_paths", `["/usr", "/lib", "/etc"]`, "all that they may read and execute, beside scripts and follow (Landlock)", paths(&c.Read)),
		row("write_paths", `["/srv/data"]`, "all that they may change, and read", paths(&c.Write)),
		row("cgroup", `"/sys/fs/cgroup/system.slice/gatehouse.service"`, "a delegated control group (version 2), in which they get one", directory(&g.Dir)),
		row("cgroup_each", `false`, "true: each program gets one, and what is left in it at its end is killed", flag(&g.EachProgram)),
		row("cgroup_memory", `"512MiB"`, "memory.max of that control group", size(&g.Memory)),
		row("cgroup_processes", `100`, "pids.max of that control group", count(&g.Processes, 1)),
		row("cgroup_cpu", `1.5`, "cpu.max of that control group, in processors", processors(&g.CPU)),
		row("local_redirect", `"auto"`, `who follows a program's Location of this server: "client" (302) or "internal"; with auto, internal over HTTP alone`, choice(&a.LocalRedirect, cgi.ParseRedirectPolicy, "auto, client and internal")),
		row("nph", `["*.nph"]`, `programs that answer with a whole HTTP response, beside those by the name nph-*`, patterns(&a.NPH, "*.nph")),
		row("search_args", `false`, `true: programs get the words of a query like "one+two" as arguments, if all are harmless`, flag(&a.SearchArgs)),
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

// addFollow adds a program or a directory that symlinks may lead to.
func (k *scriptsKind) addFollow(s string) error {
	if s == "" {
		return errors.New("empty path: write the program or the directory that symlinks may lead to")
	}
	if err := checkAbsolute(s); err != nil {
		return err
	}
	path := filepath.Clean(s)
	k.app.Follow = append(k.app.Follow, path)
	k.examined.add(path)
	return checkFollow(s)
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

// checkRoot returns what is wrong with a directory of programs, or a program.
func checkRoot(path string) error {
	info, err := os.Stat(path)
	switch {
	case os.IsNotExist(err) && firstMissing(path) == path:
		return fmt.Errorf("%s does not exist: write a directory of programs, or one program", path)
	case err != nil || info.IsDir():
		return checkSearch(path)
	}
	return checkProgram(path, info)
}

// checkFollow returns what is wrong with what symlinks may lead to.
func checkFollow(path string) error {
	info, err := os.Stat(path)
	if err != nil || info.IsDir() {
		return checkSearch(path)
	}
	return checkProgram(path, info)
}

// checkProgram returns what is wrong with a file that is to be a program.
func checkProgram(path string, info os.FileInfo) error {
	switch {
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
			errs = append(errs, checkAbsolute(dir), checkFollow(dir))
		}
	}
	return errs
}

func (k *scriptsKind) prepare(p preparation) (cgi.App, func() error, error) {
	errs := k.examine()
	a := k.app.Clone()
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
