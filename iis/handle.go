package iis

import (
	"fmt"
	"strconv"
	"strings"
)

// The variables of a process that the FastCGI module, or another process manager, has
// started.
const (
	pipeVariable     = "_FCGI_X_PIPE_"         // the name of the pipe
	shutdownVariable = "_FCGI_SHUTDOWN_EVENT_" // the handle of an event: the process is to end
	mutexVariable    = "_FCGI_MUTEX_"          // the handle of a mutex: who has it accepts
)

// parseHandle reads a handle as those variables have it: a decimal number of up to 64 bits,
// which C prints with a sign or without.
func parseHandle(variable, value string) (uintptr, error) {
	s := strings.TrimSpace(value)
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		var u uint64
		u, err = strconv.ParseUint(s, 10, 64)
		n = int64(u)
	}
	if err != nil || n == 0 || n == -1 {
		return 0, fmt.Errorf("%s is %.80q, which is not the number of a handle", variable, value)
	}
	return uintptr(n), nil
}
