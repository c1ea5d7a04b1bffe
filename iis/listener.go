package iis

import "errors"

// ErrNotStarted is returned by Listen and Serve in a process that IIS has not started.
var ErrNotStarted = errors.New("not started by IIS: register the program with its FastCGI or CGI module, " +
	"try it with gatehouse request --iis PROGRAM, or use gatehouse.Serve, which serves however a program is started")
