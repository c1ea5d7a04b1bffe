package iis

import (
	"errors"
	"time"
)

// ErrNotStarted is returned by Listen and Serve in a process that IIS has not started.
var ErrNotStarted = errors.New("not started by IIS: register the program with its FastCGI or CGI module, " +
	"try it with gatehouse request --iis PROGRAM, or use gatehouse.Serve, which serves however a program is started")

// errSocket is for protocol="Tcp".
var errSocket = errors.New(`standard input is a socket, as IIS passes one for protocol="Tcp" in its fastCgi section: ` +
	`leave the default, protocol="NamedPipe"`)

// flushLimit is how long Close waits until the web server has read the end of a response.
const flushLimit = 2 * time.Second

// logVariable names the file that takes the place of standard error.
const logVariable = "GATEHOUSE_LOG"

// waitFor waits until done is closed, or the time has passed.
func waitFor(done <-chan struct{}, limit time.Duration) {
	t := time.NewTimer(limit)
	defer t.Stop()
	select {
	case <-done:
	case <-t.C:
	}
}
