package iis

import (
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/windows"
	"golang.org/x/sys/windows/svc/eventlog"
)

// logVariable names the file that takes the place of standard error.
const logVariable = "GATEHOUSE_LOG"

// EnsureStderr gives the process a standard error if it has none, as under IIS's FastCGI
// module, or is a CGI program of IIS ([IsProgram]), where what is written there may get into
// the response. It is a file, to which everything goes from then on that is logged or printed there,
// and the text with which Go ends a program that has crashed. It is the file that the
// environment variable GATEHOUSE_LOG names, or else NAME.log in the directory for temporary
// files (%TEMP%), where NAME is that of the program. Lines are appended to it; one of more
// than 10 MiB is moved to NAME.log.old first. Listen calls EnsureStderr; a program that may
// fail before that calls it itself.
//
// Where the file cannot be opened, the event log says so, and what is logged is lost. An
// error is returned only for a file that GATEHOUSE_LOG names.
func EnsureStderr() (*os.File, error) {
	if !noHandle(windows.STD_ERROR_HANDLE) && !IsProgram() {
		return os.Stderr, nil
	}
	name := programName()
	path, named := os.LookupEnv(logVariable)
	if path == "" {
		path, named = filepath.Join(os.TempDir(), name+".log"), false
	}
	f, err := openLog(path)
	if err != nil {
		if named {
			err = fmt.Errorf("%s: %w", logVariable, err)
		}
		report(name, fmt.Sprintf("%v: name a file that the application pool's user may write to in %s", err, logVariable))
		if named {
			return nil, err
		}
		if f, err = os.OpenFile(os.DevNull, os.O_RDWR, 0); err != nil {
			return nil, err
		}
	}
	if err := windows.SetStdHandle(windows.STD_ERROR_HANDLE, windows.Handle(f.Fd())); err != nil {
		return nil, err
	}
	if log.Writer() == io.Writer(os.Stderr) {
		log.SetOutput(f)
	}
	os.Stderr = f
	return f, nil
}

// programName returns the name of the program without .exe.
func programName() string {
	path, err := os.Executable()
	if err != nil {
		path = os.Args[0]
	}
	name := filepath.Base(path)
	return strings.TrimSuffix(name, filepath.Ext(name))
}

// logBytes is the size from which on a log is moved away.
const logBytes = 10 << 20

func openLog(path string) (*os.File, error) {
	if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() && info.Size() > logBytes {
		// Another process may have it open; then a later one does it.
		if err := os.Rename(path, path+".old"); err != nil && !errors.Is(err, windows.ERROR_SHARING_VIOLATION) {
			return nil, err
		}
	}
	return os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
}

// report writes to the event log, where nothing else can be told.
func report(source, message string) {
	if l, err := eventlog.Open(source); err == nil {
		l.Error(1, message)
		l.Close()
	}
}
