//go:build !linux

package process

import (
	"fmt"
	"runtime"
	"sync/atomic"
)

// A look is one look at the processes of a program.
type look struct {
	program *Process
	stopped atomic.Bool
}

// inspect tells what is known without asking the system, which shows it to debuggers alone.
func (l *look) inspect() Inspection {
	return Inspection{
		Processes: []Inspected{{PID: l.program.pid, User: -1, Command: "(the program)", Descriptors: -1}},
		Unread:    []string{fmt.Sprintf("what the program and its children do: on %s gatehouse cannot tell, only on Linux", runtime.GOOS)},
	}
}
