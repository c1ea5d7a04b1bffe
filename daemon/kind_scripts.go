package daemon

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"gatehouse/cgi"
	"gatehouse/cgi/process"
	"gatehouse/cgi/script"
)

// A scriptsKind runs the CGI programs in directories.
type scriptsKind struct {
	app        *script.App // as configured; prepare runs a clone
	authorizer bool
	examined   examined
}

// Scripts returns the kind of an application that runs CGI programs. It keeps a. The
// daemon sets its own Limits, Reaper and Log.
func Scripts(a *script.App) Kind { return &scriptsKind{app: a} }

func (k *scriptsKind) traits() traits {
	return traits{
		name: "scripts", target: "DIR", noun: "directory", without: "runs no CGI programs",
		authorizer: k.authorizer,
		starts:     true,
		unchanged:  k.app.RunAs == process.RunAs{},
		asSent:     k.app.Manner != script.Gatehouse,
	}
}

// basics are the keys of programs that messages name together.
const basics = "follow, env, inherit, role, stderr and pass_authorization"

func (k *scriptsKind) keys() []Key {
	a := k.app
	r, c := &a.RunAs, &a.Confinement
	return slices.Concat([]Key{
		row("scripts", `"/usr/lib/cgi-bin"`, "a directory of CGI programs, one program, or a list of them, tried in turn", each(absolute(k.parse))),
		row("follow", `["/usr/share/gitweb"]`, "programs and directories outside scripts that symlinks may lead to", each(k.addFollow)).unless(nil, basics),
		row("only", `["*.cgi", "tools/*"]`, "patterns of the programs that may run; all by default", patterns(&a.Only, "*.cgi")),
		row("directory", `"/srv/data"`, "the directory that programs start in, as they see it with chroot; by default each starts in its own", laterDirectory(&a.Dir)),
		row("env", `{ GIT_PROJECT_ROOT = "/srv/git" }`, "variables set for the programs, whatever the web server sends", pairs(addEnv(&a.Env))).unless(nil, basics),
		row("inherit", `["PATH", "LANG", "TZ"]`, "variables of gatehouse's own environment that programs get; these by default, all of them with \"all\"", each(addInherit(&a.Inherit, &a.InheritAll))).unless(nil, basics),
		row("interpreters", `{ ".py" = 'C:\Python313\python.exe' }`, `what runs files with an extension, on Windows only; others run by their "#!" lines`, pairs(k.addInterpreter)).unless(nil, basics),
		row("stderr", `"log"`, `where the programs' stderr goes: "log", or "client" for the web server's error log (FastCGI only)`, text(k.setStderr)).unless("log", basics),
		row("pass_authorization", `false`, "true: programs get the client's credentials (HTTP_AUTHORIZATION, AUTH_PASSWORD)", flag(&a.PassAuthorization)).unless(false, basics),
		row("role", `"responder"`, `the FastCGI role of the programs: "responder" or "authorizer"`, text(k.setRole)).unless("responder", basics),
		row("user", `"www-data"`, "the user that programs run as, by name or number; gatehouse must be started as root", name(&r.User)),
		row("group", `"www-data"`, "with user: the group, instead of the user's own", name(&r.Group)),
		row("run_as", `"owner"`, "instead of user: programs run as their owners, with the checks of suexec", text(k.setRunAs)),
		row("min_uid", `1000`, "with run_as: the lowest user ID of an owner", count(&r.MinUID, 1)),
		row("min_gid", `100`, "with run_as: the lowest group ID of an owner's group", count(&r.MinGID, 1)),
		row("check_owner", `false`, "true: a program and its directory must belong to root or to the user it runs as", flag(&c.CheckOwner)),
		row("check_mode", `false`, "true: neither may be writable by group or others, and the program must not be set-user-ID", flag(&c.CheckMode)),
		row("local_redirect", `"auto"`, `who follows a program's redirect to a path on this server: "client" (302) or "internal"; "auto" means internal over HTTP only`, choice(&a.LocalRedirect, cgi.ParseRedirectPolicy, "auto, client and internal")),
		row("nph", `["*.nph"]`, `programs that send a whole HTTP response, besides those named nph-*`, patterns(&a.NPH, "*.nph")),
		row("streaming", `false`, "true: programs start before their bodies have come, and respond while these still come (full duplex)", flag(&a.Streaming)),
		row("search_args", `false`, `true: programs get the words of a query such as "one+two" as arguments, if all of them are safe`, flag(&a.SearchArgs)),
	}, confinementKeys(c, &a.Cgroup))
}

// confinementKeys are the keys of all kinds that start programs.
func confinementKeys(c *process.Confinement, g *process.Cgroup) []Key {
	return []Key{
		row("chroot", `"/srv/jail"`, "with user: the root directory of the programs; it must contain scripts, or the program", directory(&c.Chroot)),
		row("umask", `"027"`, "the umask of the programs", umask(&c.Umask)),
		row("nice", `10`, "the niceness of the programs, from -20 to 19 (the lowest priority)", count(&c.Nice, -20)),
		row("no_new_privs", `false`, "true: programs gain no privileges by executing set-user-ID files", flag(&c.NoNewPrivs)),
		row("no_core", `false`, "true: programs leave no core files", flag(&c.NoCore)),
		row("read_paths", `["/usr", "/lib", "/etc"]`, "the only paths that programs may read and execute, besides scripts and follow (Landlock)", paths(&c.Read)),
		row("write_paths", `["/srv/data"]`, "the only paths that programs may change; they may also read them", paths(&c.Write)),
		row("cgroup", `"/sys/fs/cgroup/system.slice/gatehouse.service"`, "a delegated control group (version 2); the programs get their own inside it", directory(&g.Dir)),
		row("cgroup_each", `false`, "true: each program gets its own, and what is left in it when the program ends is killed", flag(&g.EachProgram)),
		row("cgroup_memory", `"512MiB"`, "memory.max of the programs' control group", size(&g.Memory)),
		row("cgroup_processes", `100`, "pids.max of the programs' control group", count(&g.Processes, 1)),
		row("cgroup_cpu", `1.5`, "cpu.max of the programs' control group, in processors", processors(&g.CPU)),
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

// merge adds the directories of other, if it runs programs in the same role.
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

var errInheritAll = errors.New(`"all" must be the only value: write inherit = "all", or the names of variables`)

// addInterpreter adds what runs files with an extension.
func (k *scriptsKind) addInterpreter(extension, program string) error {
	switch {
	case runtime.GOOS != "windows":
		return errors.New(`interpreters are for Windows: begin the programs with "#!" and the interpreter`)
	case filepath.Ext(extension) != extension || len(extension) < 2:
		return fmt.Errorf("%q is not an extension: write it with its dot, such as \".py\"", extension)
	}
	if k.app.Interpreters == nil {
		k.app.Interpreters = make(map[string]string)
	}
	k.app.Interpreters[extension] = program
	if err := checkAbsolute(program); err != nil {
		return err
	}
	_, err := os.Stat(program)
	if err != nil {
		return fmt.Errorf("%s: %w: write the interpreter of %s", program, bare(err), extension)
	}
	return nil
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
	if hidden := errHidden(path, err); hidden != nil {
		return hidden
	}
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

// examine returns what is wrong with the directories, unless they were checked while
// parsing. In the manner of other gateways, programs may be added later.
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
	a.Limits, a.Reaper, a.Log, a.Sandbox = p.limits, p.reaper, p.log, p.sandbox
	if err := a.Prepare(); err != nil {
		relative := func(dir string) bool { return !filepath.IsAbs(dir) }
		if slices.ContainsFunc(slices.Concat(a.Roots, a.Follow), relative) {
			errs = append(errs, err)
		} else { // a line for each key
			errs = append(errs, placed(p, err))
		}
	}
	return a, a.Close, errors.Join(errs...)
}

func (k *scriptsKind) configured() string {
	if k.app.Manner != script.Gatehouse {
		return k.app.Manner.String()
	}
	return "scripts = " + list(k.app.Roots)
}
