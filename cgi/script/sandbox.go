package script

import (
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"

	"gatehouse/cgi/process"
	"gatehouse/systemd/sandbox"
)

// sandbox returns what systemd has put around the programs, or nil.
func (a *App) sandbox() *sandbox.Sandbox {
	if a.Sandbox != nil {
		return a.Sandbox
	}
	a.state.sandboxOnce.Do(func() { a.state.sandbox = sandbox.Self() })
	return a.state.sandbox
}

// sandboxed completes the finding of err, if it has one: where a setting of the systemd unit
// is the reason, it says so. What the unit hides looks like something else.
func (a *App) sandboxed(err error) error {
	var f *Finding
	if errors.As(err, &f) {
		a.blameSandbox(f)
	}
	return err
}

func (a *App) blameSandbox(f *Finding) {
	if a.sandbox() == nil {
		return
	}
	path, of := f.Path, ""
	if f.needs != "" {
		path, of = f.needs, fmt.Sprintf("it needs %s: ", f.needs)
	}
	var r *sandbox.Reason
	switch f.Check {
	case CheckMissing, CheckSearch, CheckDir, CheckInterpreter, CheckLoader:
		if _, err := os.Stat(path); err != nil {
			r = a.sandbox().Hides(path, err)
		}
	case CheckNoexec:
		r = a.sandbox().NoExec(path)
	}
	if r != nil {
		f.Check, f.Detail, f.Remedy = CheckSandbox, of+r.Detail, r.Remedy
	}
}

// hidden returns what would keep the sandbox of another process from running a program that
// this process can run, or nil. It would be started in dir.
func (a *App) hidden(path, dir string) *Finding {
	if a.Sandbox == nil {
		return nil
	}
	files := []string{path}
	if dir != "" {
		files = append(files, dir)
	}
	if words := interpreterWords(path); len(words) > 0 {
		files = append(files, words[0])
	}
	for _, file := range files {
		f := &Finding{Check: CheckSandbox, Path: path, Code: http.StatusForbidden}
		r := a.Sandbox.Hides(file, fs.ErrNotExist)
		switch {
		case r != nil && file == path && !r.Denied:
			f.Code = http.StatusNotFound
		case r != nil && file != path && !r.Denied:
			f.Code = http.StatusBadGateway
		case r == nil && file != dir:
			r = a.Sandbox.NoExec(file)
		}
		if r == nil {
			continue
		}
		f.Detail, f.Remedy = r.Detail, r.Remedy
		if file != path {
			f.Detail = fmt.Sprintf("it needs %s: %s", file, r.Detail)
		}
		return f
	}
	return nil
}

// ignoredID returns the reason why a program that is set-user-ID or set-group-ID runs without
// those rights, or nil. The system ignores them in scripts anyway.
func (a *App) ignoredID(path string) *sandbox.Reason {
	info, err := os.Stat(path)
	if err != nil || isScript(path) {
		return nil
	}
	return a.sandbox().IgnoresID(info.Mode())
}

// ending returns what there is to say of a program's end, and what the systemd unit has to do
// with it.
func (u *run) ending(s process.Status) string {
	if r := u.sandboxReason(s); r != nil {
		return s.String() + ": " + r.String()
	}
	return s.String()
}

func (u *run) sandboxReason(s process.Status) *sandbox.Reason {
	switch {
	case s.Signal != "":
		return u.app.sandbox().Ended(s.Signal)
	case s.Code != 0:
		return u.app.ignoredID(u.target.path)
	}
	return nil
}
