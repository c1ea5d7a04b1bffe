package script

import "gatehouse/cgi"

// A Step is a path that was tried on the way to a program.
type Step struct {
	From  string // what led to it: the name of a variable, or a root
	Path  string
	Check Check  // the check that failed, or empty
	Note  string // what followed from it, or empty
}

// trace notes the steps of a lookup. A nil trace notes nothing.
type trace struct{ steps []Step }

// maxSteps bounds a trace: a path may have any number of segments.
const maxSteps = 200

func (tr *trace) add(from, path string, err error, note string) {
	if tr == nil || len(tr.steps) >= maxSteps {
		return
	}
	s := Step{From: from, Path: path, Note: note}
	if err != nil {
		s.Check = lookupCheck(err)
	}
	tr.steps = append(tr.steps, s)
}

// An Explanation is what an App would do with a request.
type Explanation struct {
	Steps   []Step     // the paths that were tried, in their order
	Finding *Finding   // what keeps the program from running, or nil
	Program string     // the program, or "" if none was found
	Args    []string   // with the program's own path as the first
	Dir     string     // where it would start; "" is where this process did
	Env     []string   // its environment, as "NAME=VALUE"
	Dropped []Variable // variables that it would not get
}

// A Variable is one that does not reach a program.
type Variable struct{ Name, Reason string }

// Explain tells what ServeCGI would do with r, without running anything: the paths
// that it would try, the program, and the environment, or what keeps the program from
// running. Everything is looked up with the rights of this process. The error is that
// of an App that cannot serve any request.
//
// What only an attempt tells is left out: a program that is broken, limits, and the
// length of a body.
func (a *App) Explain(r *cgi.Request) (*Explanation, error) {
	a.once.Do(a.init)
	if a.state.err != nil {
		return nil, a.state.err
	}
	e := new(Explanation)
	if r.Role == cgi.Filter {
		e.Finding = filterFinding()
		return e, nil
	}
	tr := new(trace)
	t, err := a.find(r, tr)
	e.Steps = tr.steps
	if err != nil {
		if e.Finding = findingOf(err); e.Finding == nil {
			return nil, err
		}
		return e, nil
	}
	e.Program, e.Args, e.Dir = t.path, append([]string{t.path}, a.args(r)...), a.dir(r, t)
	e.Env = a.environment(r, t, max(r.ContentLength, 0), func(name, reason string) {
		e.Dropped = append(e.Dropped, Variable{name, reason})
	})
	if e.Finding = inspectDir(e.Dir); e.Finding == nil {
		e.Finding = inspect(t.path)
	}
	if e.Finding == nil {
		e.Finding = inspectCommand(t.path, e.Env)
	}
	if c := a.state.confinement; e.Finding == nil && c != nil {
		cmd := command{path: t.path, argv0: t.path, dir: e.Dir, env: e.Env}
		if err := c.prepare(&cmd); err != nil {
			e.Finding = findingOf(err)
		} else {
			cmd.confined.close()
			e.Args[0], e.Dir = cmd.argv0, cmd.dir
		}
	}
	if e.Finding != nil {
		e.Finding = a.Manner.start(e.Finding)
	}
	return e, nil
}
