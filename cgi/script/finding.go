package script

import (
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"gatehouse/cgi"
	"gatehouse/cgi/process"
)

// A Check names what is looked at before a program runs.
type Check string

// The checks, in about the order in which they are made.
const (
	CheckFilter      Check = "filter"      // a program cannot be a FastCGI Filter
	CheckRequest     Check = "request"     // the variables name no program
	CheckRoot        Check = "root"        // the application has a root
	CheckDotDot      Check = "dotdot"      // no ".." segment in the path
	CheckMissing     Check = "missing"     // the file is there
	CheckDirectory   Check = "directory"   // it is no directory
	CheckIrregular   Check = "irregular"   // it is a regular file
	CheckOutside     Check = "outside"     // it lies in a root, or where follow allows
	CheckAllowed     Check = "allowed"     // it is one of the programs that may run
	CheckLoop        Check = "loop"        // its symlinks come to an end
	CheckSearch      Check = "search"      // the user may search the directories above it
	CheckMode        Check = "mode"        // it has an x bit
	CheckExecute     Check = "execute"     // that x bit is for the user
	CheckOwner       Check = "owner"       // its owner and mode are what run_as, check_owner and check_mode ask for
	CheckNoexec      Check = "noexec"      // its file system is not mounted noexec
	CheckLineEnd     Check = "line_end"    // its first line does not end in CR LF
	CheckByteOrder   Check = "byte_order"  // it does not begin with a byte order mark
	CheckFormat      Check = "format"      // it is a binary for this machine, or has a "#!" line
	CheckInterpreter Check = "interpreter" // its interpreter is there, and may run
	CheckLoader      Check = "loader"      // its dynamic loader is there
	CheckDir         Check = "dir"         // the directory that it starts in can be entered
	CheckSize        Check = "size"        // the variables are not too long for the system
	CheckBusy        Check = "busy"        // nobody is writing it
	CheckResources   Check = "resources"   // the system has room for another process, and this one for its descriptors
	CheckSecurity    Check = "security"    // a security module, and its confinement, let it run
	CheckSandbox     Check = "sandbox"     // the systemd unit does not hide it, or the files that it needs
	CheckStart       Check = "start"       // anything else that the system refuses
)

// A Finding is what keeps a program from running: which check failed on which file,
// and how to mend it. It is the error of a request, and so its log line, and what
// [App.Explain] finds without running anything.
type Finding struct {
	Check  Check
	Path   string // the file or directory that failed the check; may be empty
	Named  string // the variable that named it, such as "SCRIPT_FILENAME", if one did
	Detail string // what is wrong with it
	Remedy string // what to do about it, or empty if that depends
	Code   int    // of the response
	Err    error  // the system's error, or nil

	needs string // the file that the program at Path needs, if it is that which failed the check
}

// Error returns one line: path, what is wrong, and how to mend it.
func (f *Finding) Error() string {
	s := f.Detail
	if f.Path != "" {
		s = shortened(f.Path) + ": " + s
	}
	if f.Named != "" {
		s = f.Named + " " + s
	}
	if f.Remedy != "" {
		s += ": " + f.Remedy
	}
	return s
}

// shortened bounds a path in a message: it is the client's, and may have any length.
func shortened(path string) string {
	const bound = 1000
	if len(path) <= bound {
		return path
	}
	return path[:bound] + "…"
}

// Unwrap returns the system's error.
func (f *Finding) Unwrap() error { return f.Err }

// status makes the error of a request. Something that passes by itself lets the
// client come again.
func (f *Finding) status() error {
	se := &cgi.StatusError{Code: f.Code, Err: f, Check: string(f.Check)}
	if f.Code == http.StatusServiceUnavailable {
		se.RetryAfter = time.Second
	}
	return se
}

// findingOf returns the finding that err holds, or one that says no more than err; nil
// if err is not about a request.
func findingOf(err error) *Finding {
	var f *Finding
	var se *cgi.StatusError
	switch {
	case errors.As(err, &f):
		return f
	case errors.As(err, &se) && se.Err != nil:
		return &Finding{Check: CheckStart, Detail: se.Err.Error(), Code: se.Code, Err: se.Err}
	}
	return nil
}

// What can be wrong with a file, for the functions that look it up.
var (
	errMissing   = errors.New("no such file")
	errDirectory = errors.New("is a directory, not a program")
	errIrregular = process.ErrIrregular
	errMode      = errors.New("is not executable (no x bit)")
	errOutside   = process.ErrOutside
	errDotDot    = errors.New(`has a ".." segment`)
	errNoRoot    = errors.New("the application has no root")
	errNoName    = errors.New("is no absolute path")
	errAllowed   = errors.New("is not one of the programs that may run")
)

// lookupFinding says what is wrong with a file that was looked up at path.
func lookupFinding(path string, err error) *Finding {
	if f := exhaustedFinding(path, err); f != nil {
		return f
	}
	f := &Finding{Check: lookupCheck(err), Path: path, Detail: err.Error(), Code: http.StatusForbidden}
	switch f.Check {
	case CheckMissing:
		f.Code = http.StatusNotFound
		f.Detail, f.Remedy = whyMissing(path)
	case CheckDirectory:
		f.Remedy = "the URL must go on with the name of a program in it"
	case CheckMode:
		f.Remedy = "chmod +x " + path
	case CheckRoot:
		f.Remedy = `write scripts = "DIR"`
	case CheckRequest:
		f.Remedy = "fastcgi_param SCRIPT_FILENAME $document_root$fastcgi_script_name;"
	case CheckLoop:
		f.Err, f.Detail = err, "its symlinks lead in a circle, or are too many"
	case CheckSearch:
		f.Err = err
		f.Detail, f.Remedy = whyUnsearchable(path, err)
	case CheckStart:
		f.Err = err
	}
	return f
}

// exhaustedFinding says that the system has run out of what it takes to look up or start
// the program path, if that is what err says; otherwise it returns nil.
func exhaustedFinding(path string, err error) *Finding {
	remedy := cgi.Remedy(err)
	if remedy == "" {
		return nil
	}
	return &Finding{Check: CheckResources, Path: path, Detail: err.Error(), Remedy: remedy, Code: http.StatusServiceUnavailable, Err: err}
}

// saysNothing reports whether r has no variable that tells what is asked for.
func saysNothing(r *cgi.Request) bool { return r.Env.Get("REQUEST_METHOD") == "" && r.FullPath() == "" }

// variablesFinding is about such a request.
func variablesFinding(code int) *Finding {
	return &Finding{Check: CheckRequest, Detail: cgi.ErrNoVariables.Error(), Code: code, Err: cgi.ErrNoVariables}
}

// lookupCheck returns the check of which err is the failure.
func lookupCheck(err error) Check {
	for _, c := range []struct {
		err   error
		check Check
	}{
		{errMissing, CheckMissing}, {errDirectory, CheckDirectory}, {errIrregular, CheckIrregular}, {errMode, CheckMode},
		{errOutside, CheckOutside}, {errDotDot, CheckDotDot}, {errNoRoot, CheckRoot}, {errNoName, CheckRequest},
		{errAllowed, CheckAllowed}, {syscall.ELOOP, CheckLoop}, {fs.ErrPermission, CheckSearch},
	} {
		if errors.Is(err, c.err) {
			return c.check
		}
	}
	return CheckStart
}

// whyMissing says more of a file that is not there: where a link leads, or which of
// the directories on the way is missing.
func whyMissing(path string) (detail, remedy string) {
	detail = errMissing.Error()
	if len(path) > maxPath {
		return detail, "the path is too long to be that of a file"
	}
	if to, err := os.Readlink(path); err == nil {
		return detail, fmt.Sprintf("it is a link to %s, which does not exist", to)
	}
	// From the top, so that a path of a thousand directories that are not there costs one
	// look.
	above, there := filepath.Dir(path), string(filepath.Separator)
	for end := 1; end <= len(above); end++ {
		if end < len(above) && above[end] != filepath.Separator {
			continue
		}
		switch info, err := os.Stat(above[:end]); {
		case err != nil:
			return detail, fmt.Sprintf("%s has no directory %s", there, filepath.Base(above[:end]))
		case !info.IsDir():
			return detail, fmt.Sprintf("%s is a file: what follows it belongs into PATH_INFO (fastcgi_split_path_info)", above[:end])
		}
		there = above[:end]
	}
	return detail, ""
}

// startFinding says why the program of c was not started.
func (a *App) startFinding(c *process.Command, err error) *Finding {
	var pe *process.Error
	if !errors.As(err, &pe) {
		return systemFinding(c.Path, a.outsideChroot(c.Dir), err)
	}
	switch pe.Op {
	case process.OpCheck, process.OpChroot:
		f := lookupFinding(c.Path, classify(pe.Err))
		if f.Check == CheckStart && pe.Op == process.OpCheck {
			f.Check = CheckOwner
		}
		return f
	case process.OpCgroup:
		if f := exhaustedFinding(c.Path, pe.Err); f != nil && !errors.Is(pe.Err, syscall.ENOSPC) {
			return f
		}
		f := &Finding{Check: CheckResources, Path: c.Path, Detail: pe.Err.Error(), Code: http.StatusBadGateway, Err: pe.Err}
		if errors.Is(pe.Err, syscall.EAGAIN) || errors.Is(pe.Err, syscall.ENOSPC) {
			f.Code, f.Remedy = http.StatusServiceUnavailable,
				"the system allows no further control group there: raise cgroup.max.descendants and cgroup.max.depth above it, or lower programs"
		}
		return f
	case process.OpConfine:
		if f := inspectDir(a.outsideChroot(c.Dir)); f != nil && errors.Is(pe.Err, fs.ErrNotExist) {
			f.Err = pe.Err
			return f
		}
		// What the program may see is not what a look at its files from here shows.
		f := &Finding{Check: CheckSecurity, Path: c.Path, Detail: pe.Err.Error(), Code: http.StatusBadGateway, Err: pe.Err}
		if errors.Is(pe.Err, fs.ErrPermission) {
			f.Code = http.StatusForbidden
		}
		return f
	}
	if a.Cgroup.Dir != "" && errors.Is(pe.Err, syscall.ENOSYS) {
		return &Finding{Check: CheckSecurity, Path: c.Path, Code: http.StatusBadGateway, Err: pe.Err,
			Detail: "the call that starts programs in control groups, clone3, is not allowed, or the kernel is older than 5.7",
			Remedy: "write RestrictNamespaces=no in the unit, as cgroup.conf does, or remove cgroup"}
	}
	return systemFinding(c.Path, a.outsideChroot(c.Dir), pe.Err)
}

// systemFinding says why the system did not start the program path, in the directory
// dir.
func systemFinding(path, dir string, err error) *Finding {
	if f := exhaustedFinding(path, err); f != nil {
		return f
	}
	f := &Finding{Check: CheckStart, Path: path, Detail: err.Error(), Code: http.StatusBadGateway, Err: err}
	switch {
	case errors.Is(err, syscall.E2BIG):
		f.Check, f.Code = CheckSize, http.StatusRequestHeaderFieldsTooLarge
		f.Detail = "the variables of the request are too long for the system"
		f.Remedy = "let the web server refuse such long headers"
		return f
	case errors.Is(err, process.ErrBusy):
		f.Check, f.Code = CheckBusy, http.StatusServiceUnavailable
		f.Detail, f.Remedy = "somebody is writing it", "install programs under another name, and rename them"
		return f
	case errors.Is(err, syscall.EAGAIN):
		f.Check, f.Code = CheckResources, http.StatusServiceUnavailable
		f.Detail = "the system has no room for another process"
		f.Remedy = "fewer programs at once (programs), fewer processes of theirs (processes, cgroup_processes), " +
			"or more room: RLIMIT_NPROC (LimitNPROC=), TasksMax=, pids.max"
		return f
	case errors.Is(err, fs.ErrPermission):
		f.Code = http.StatusForbidden
	}
	if found := inspectDir(dir); found != nil {
		found.Err = err
		return found
	}
	if found := inspect(path); found != nil {
		found.Err = err
		return found
	}
	switch {
	case errors.Is(err, fs.ErrPermission):
		f.Check = CheckSecurity
		f.Detail = fmt.Sprintf("%s may not execute it, or its interpreter, though nothing in their modes forbids it", thisUser())
		f.Remedy = "look at the log of SELinux or AppArmor (ausearch -m avc, dmesg), and at access lists (getfacl)"
	case errors.Is(err, syscall.ENOEXEC):
		f.Check, f.Detail = CheckFormat, "it is no binary for this machine"
	}
	return f
}
