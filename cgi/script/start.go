package script

import (
	"bufio"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"syscall"
	"time"

	"gatehouse/cgi"
)

// startProgram starts a program, and says in its error what is wrong with it.
func startProgram(c *command) (p *process, err error) {
	for pause := time.Millisecond; ; pause *= 2 {
		p, err = start(c)
		// A program that is being installed is open for writing for a moment.
		if !errors.Is(err, errBusy) || pause > 32*time.Millisecond {
			break
		}
		time.Sleep(pause)
	}
	if err == nil {
		return p, nil
	}
	if c.confined != nil {
		err = c.confined.explain(err)
	}
	return nil, startRefusal(c.path, err)
}

// startRefusal is the answer for a program that the system does not start.
func startRefusal(path string, err error) error {
	se := &cgi.StatusError{Code: http.StatusBadGateway, Err: fmt.Errorf("%s: %w%s", path, err, hint(path, err))}
	switch {
	case errors.Is(err, os.ErrPermission):
		se.Code = http.StatusForbidden
	case errors.Is(err, syscall.E2BIG):
		se.Code = http.StatusRequestHeaderFieldsTooLarge
	case errors.Is(err, syscall.EAGAIN), errors.Is(err, syscall.ENOMEM), errors.Is(err, syscall.EMFILE),
		errors.Is(err, syscall.ENFILE), errors.Is(err, errBusy):
		se.Code, se.RetryAfter = http.StatusServiceUnavailable, time.Second
	}
	return se
}

// hint says what is likely wrong with a file that is there and cannot be executed.
func hint(path string, err error) string {
	switch {
	case errors.Is(err, syscall.E2BIG):
		return ": the variables of the request are too long for the system"
	case errors.Is(err, os.ErrPermission):
		return ": this user may not execute it, or its interpreter, or enter its directory"
	case errors.Is(err, syscall.ENOEXEC), errors.Is(err, os.ErrNotExist):
	default:
		return ""
	}
	f, ferr := os.Open(path)
	if ferr != nil {
		return ""
	}
	defer f.Close()
	line, _ := bufio.NewReaderSize(f, 256).ReadSlice('\n')
	interpreter, script := strings.CutPrefix(string(line), "#!")
	switch {
	case script && strings.HasSuffix(interpreter, "\r\n"):
		return ": its first line ends in CR LF; remove the CR"
	case script && errors.Is(err, os.ErrNotExist):
		return fmt.Sprintf(": its interpreter %q does not exist", strings.TrimSpace(interpreter))
	case strings.HasPrefix(string(line), "\x7fELF") && errors.Is(err, os.ErrNotExist):
		return ": its dynamic loader does not exist"
	case strings.HasPrefix(string(line), "\xef\xbb\xbf#!"):
		return ": it begins with a byte order mark; remove it"
	case !script && errors.Is(err, syscall.ENOEXEC):
		return `: it is no binary for this machine, and has no "#!" line`
	}
	return ""
}
