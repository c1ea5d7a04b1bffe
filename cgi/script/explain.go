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
	Twice   []Variable // variables that were sent with two values
	Notes   []string   // what keeps the program from doing its work, perhaps, though it runs
}

// A Variable is one of which there is something to say.
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
	for _, name := range a.ambiguous(r) {
		e.Twice = append(e.Twice, Variable{name, lastCounts})
	}
	tr := new(trace)
	t, err := a.Manner.finder().find(a, r, tr)
	e.Steps = tr.steps
	if err != nil {
		if e.Finding = findingOf(a.sandboxed(err)); e.Finding == nil {
			return nil, err
		}
		return e, nil
	}
	m := a.Manner.finder()
	e.Program = t.path
	c, err := a.command(r, t, max(r.ContentLength, 0), func(name, reason string) {
		e.Dropped = append(e.Dropped, Variable{name, reason})
	})
	if err != nil {
		e.Finding = findingOf(a.sandboxed(err))
		return e, nil
	}
	e.Args, e.Dir, e.Env = c.Args, c.Dir, c.Env
	if r := a.ignoredID(t.path); r != nil {
		e.Notes = append(e.Notes, r.String())
	}
	if e.Finding = a.hidden(t.path, a.outsideChroot(c.Dir)); e.Finding == nil {
		e.Finding = inspectDir(a.outsideChroot(c.Dir))
	}
	if e.Finding == nil {
		e.Finding = inspect(t.path)
	}
	if e.Finding == nil {
		e.Finding = inspectCommand(t.path, e.Env)
	}
	if e.Finding == nil {
		if err := a.state.launcher.Check(c); err != nil {
			e.Finding = a.startFinding(c, err)
		}
	}
	if e.Finding != nil {
		e.Finding = m.startFailure(e.Finding)
		a.blameSandbox(e.Finding)
	}
	return e, nil
}
