package python

import (
	"fmt"
	"path/filepath"
	"strings"

	"gatehouse/cgi"
	"gatehouse/cgi/script"
)

// Explain tells which Python a worker runs, where that finds the application, and how the worker
// is started.
func (a *App) Explain(r *cgi.Request) (*script.Explanation, error) {
	if err := a.Prepare(); err != nil {
		return nil, err
	}
	e, err := a.pool.Explain(r)
	if err != nil {
		return nil, err
	}
	for i, arg := range e.Args {
		if arg == bootstrap {
			e.Args[i] = "..." // which receives worker.py, and executes it
		}
	}
	i := a.interpreter
	e.Steps = append(e.Steps, script.Step{From: i.From, Path: i.Path, Note: i.describe()}, a.findModule())
	if packages := i.Packages(); len(packages) > 0 {
		e.Notes = append(e.Notes, fmt.Sprintf("sys.path is %s, then the standard library, and %s", a.dir(), strings.Join(packages, " and ")))
	} else {
		e.Notes = append(e.Notes, fmt.Sprintf("sys.path is %s, then what %s has", a.dir(), i.Path))
	}
	return e, nil
}

// dir returns the directory that workers start in, as they see it.
func (a *App) dir() string { return filepath.Clean("/" + a.Dir) }

// findModule returns where the module of the application is found.
func (a *App) findModule() script.Step {
	module, _, _ := SplitApplication(a.Application) // Prepare has its error
	dir := filepath.Join(a.Confinement.Chroot, a.dir())
	if file := FindModule(module, dir); file != "" {
		return script.Step{From: "directory", Path: file}
	}
	if file := FindModule(module, a.interpreter.Packages()...); file != "" {
		return script.Step{From: "the packages of Python", Path: file}
	}
	step := script.Step{From: "directory", Path: filepath.Join(append([]string{dir}, strings.Split(module, ".")...)...) + ".py", Check: script.CheckMissing}
	if a.interpreter.MayHave(module) {
		step.Note = "a worker may find it among the packages of Python"
	} else {
		step.Note = "nor is the module among the packages of Python: write another directory, or module"
	}
	return step
}

// describe says what is known of a Python.
func (i *Interpreter) describe() string {
	text := "Python"
	if i.Version != "" {
		text += " " + i.Version
	}
	if i.Venv != "" {
		text += ", of the virtual environment " + i.Venv
	}
	return text
}
