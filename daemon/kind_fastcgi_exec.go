package daemon

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"gatehouse/cgi"
	"gatehouse/cgi/process"
	"gatehouse/cgi/script"
	"gatehouse/fastcgi/pool"
)

// A fastcgiExecKind keeps the processes of a FastCGI program.
type fastcgiExecKind struct {
	app        *pool.App // as configured; prepare runs another one
	authorizer bool
}

// FastCGIExec returns the kind of an application that keeps the processes of a FastCGI program.
// It keeps a. The daemon sets those of its Limits that are limits of the configuration, its
// Reaper and its Log.
func FastCGIExec(a *pool.App) Kind { return &fastcgiExecKind{app: a} }

func (k *fastcgiExecKind) traits() traits {
	return traits{name: "fastcgi_exec", target: "COMMAND", noun: "command", without: "keeps no program",
		instead:    withoutMeaning,
		authorizer: k.authorizer, starts: true, unchanged: k.app.RunAs == process.RunAs{}}
}

const (
	oneUser       = "its processes serve all requests, so they have one user: write user"
	oneConnection = "one connection to each of its processes is kept: write programs for how many there are"
	oneProgram    = "it starts one program, whoever owns that: remove this key"
)

// withoutMeaning are the keys of other kinds that an administrator may look for here.
var withoutMeaning = map[string]string{
	"run_as": oneUser, "min_uid": oneUser, "min_gid": oneUser,
	"check_owner": oneProgram, "check_mode": oneProgram,
	"programs_per_script": "it has one program: write programs",
	"keep":                oneConnection, "connections": oneConnection, "dial": oneConnection,
	"stderr":             "what its processes write to stderr is in the log: remove this key",
	"pass_authorization": "its processes get all variables that the web server sends: remove this key",
}

func (k *fastcgiExecKind) keys() []Key {
	a := k.app
	return slices.Concat([]Key{
		row("fastcgi_exec", `"php-cgi"`, "a FastCGI program, of which processes are started on demand, up to programs, and kept: a command that is split at blanks, or a list of the program and its arguments", k.setCommand),
		row("minimum", `1`, "how many processes are kept without requests; none by default, all for wsgi", count(&a.Limits.Minimum, 0)),
		row("directory", `"/srv/data"`, "the directory that processes start in, as they see it with chroot; / by default", laterDirectory(&a.Dir)),
		row("role", `"responder"`, "as for fastcgi", text(role(&k.authorizer))).unless("responder", ""),
	}, poolKeys(&a.Limits), fileKeys(&a.Root, &a.Index, &a.Follow, &a.Translate, &a.LocalRedirect, &a.Streaming),
		environmentKeys(&a.Env, &a.Inherit, nil, &a.RunAs), confinementKeys(&a.Confinement, &a.Cgroup))
}

// poolKeys are the keys of all kinds that keep processes, about how they come and go.
func poolKeys(l *pool.Limits) []Key {
	return []Key{
		row("idle_end", `"60s"`, "how long the others are kept without a request", duration(&l.Idle)),
		row("ready", `"30s"`, "how long a process may take from its start until it can serve", duration(&l.Ready)),
		row("recycle_requests", `500`, "after how many requests a process is replaced, a tenth more or less; never by default", count(&l.Requests, 1)),
		row("recycle_age", `"24h"`, "after how much time a process is replaced, a tenth more or less; never by default", duration(&l.Age)),
		row("recycle_memory", `"256MiB"`, "how large a process may grow (resident memory) before it is replaced, after its request; without limit by default", size(&l.Memory)),
	}
}

// environmentKeys are the keys of all kinds that keep processes, about the environment and the
// user of these.
func environmentKeys(env, inherit *[]string, all *bool, as *process.RunAs) []Key {
	return []Key{
		row("env", `{ APP_ENV = "production" }`, "variables of the program's environment, which also go with each request", pairs(addEnv(env))).unless(nil, ""),
		row("inherit", `["PATH", "LANG", "TZ"]`, "as for scripts, but \"all\" with wsgi only", each(addInherit(inherit, all))).unless(nil, ""),
		row("user", `"www-data"`, "as for scripts", name(&as.User)),
		row("group", `"www-data"`, "as for scripts", name(&as.Group)),
	}
}

// parse sets the command, split at blanks.
func (k *fastcgiExecKind) parse(target string) error {
	k.app.Command = strings.Fields(target)
	if len(k.app.Command) == 0 {
		return errNoCommand
	}
	return nil
}

// setCommand sets the command from a string, or exactly from an array.
func (k *fastcgiExecKind) setCommand(t *table, key string, v any) {
	if _, array := v.([]any); !array {
		text(k.parse)(t, key, v)
		return
	}
	each(func(s string) error {
		k.app.Command = append(k.app.Command, s)
		if strings.IndexByte(s, 0) >= 0 {
			return fmt.Errorf("%q: NUL byte in an argument", s)
		}
		return nil
	})(t, key, v)
	if len(k.app.Command) == 0 || k.app.Command[0] == "" {
		t.fail(key, errNoCommand)
	}
}

var errNoCommand = errors.New("empty command: write the FastCGI program to start, such as php-cgi")

// addInherit returns a function that adds the name of a variable, or sets all if it is not nil.
func addInherit(list *[]string, all *bool) func(string) error {
	return func(name string) error {
		switch {
		case name == "all" && all == nil:
			return errors.New(`"all" is for scripts and wsgi: write the names of the variables`)
		case name == "all" && len(*list) == 0 && !*all:
			*all = true
			return nil
		case name == "all" || all != nil && *all:
			return errInheritAll
		}
		*list = append(*list, name)
		return checkVariable(name)
	}
}

// poolLimits returns l with the limits of the configuration.
func poolLimits(l pool.Limits, c script.Limits) pool.Limits {
	l.Programs, l.ProgramsPerAddress, l.Queue, l.QueueWait = c.Programs, c.ProgramsPerAddress, c.Queue, c.QueueWait
	l.FirstByte, l.Silence, l.Run, l.CPU, l.Grace = c.FirstByte, c.Silence, c.Run, c.CPU, c.Grace
	l.HeadBytes, l.StderrBytes, l.Spool = c.HeadBytes, c.StderrBytes, c.Spool
	l.AddressSpace, l.FileBytes, l.OpenFiles, l.Processes = c.AddressSpace, c.FileBytes, c.OpenFiles, c.Processes
	return l
}

func (k *fastcgiExecKind) prepare(p preparation) (cgi.App, func() error, error) {
	c := k.app
	a := &pool.App{Command: c.Command, Dir: c.Dir, Env: c.Env, Inherit: c.Inherit, RunAs: c.RunAs, Confinement: c.Confinement, Cgroup: c.Cgroup,
		Reaper: p.reaper, Root: c.Root, Index: c.Index, Follow: c.Follow, Translate: maps.Clone(c.Translate), LocalRedirect: c.LocalRedirect, Streaming: c.Streaming,
		Limits: poolLimits(c.Limits, p.limits), Log: p.log}
	return a, a.Close, placed(p, a.Prepare())
}

func (k *fastcgiExecKind) configured() string { return "fastcgi_exec = " + list(k.app.Command) }
