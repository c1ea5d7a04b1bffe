package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"gatehouse/internal/backend"
	"gatehouse/internal/iishost"
	"gatehouse/internal/probe"
)

// endLimit is how long a program may take to end once its connection is closed.
const endLimit = 10 * time.Second

// An iisHost is started as IIS starts a FastCGI application.
type iisHost struct {
	command iishost.Command
	running *iishost.Application // nil before the start, and after the end
	log     string               // the file of its messages
	status  uint32
}

// setProgram reads PROGRAM or PROGRAM|ARGUMENTS.
func (a *asked) setProgram(s string) error {
	if a.target.Protocol != "" {
		return errors.New("a request goes to one address or program: remove the others")
	}
	path, arguments, _ := strings.Cut(s, "|")
	if path == "" {
		return errors.New("write the path of a program")
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	a.target.Protocol, a.target.Address = probe.FastCGI, backend.Address{Address: path} // which only names it
	a.program = &iisHost{command: iishost.Command{Path: path, Arguments: arguments, Dir: filepath.Dir(path)}}
	return nil
}

// start starts the program, and returns the connection to it. Programs of this library log
// to the file of GATEHOUSE_LOG, as they have no standard error.
func (r *iisHost) start(context.Context) (net.Conn, error) {
	f, err := os.CreateTemp("", "gatehouse-*.log")
	if err != nil {
		return nil, err
	}
	r.log = f.Name()
	f.Close()
	r.command.Env = append(os.Environ(), "GATEHOUSE_LOG="+r.log)
	if r.running, err = iishost.Start(r.command); err != nil {
		return nil, err
	}
	return r.running.Conn(), nil
}

// end waits until the program has ended, whose connection is closed, and shows what it has
// logged. It returns its exit status, and may be called again.
func (r *iisHost) end(p *process) uint32 {
	if r.running != nil {
		ctx, cancel := context.WithTimeoutCause(context.Background(), endLimit,
			fmt.Errorf("it has been ended, since it had not ended by itself within %v after its pipe was closed", endLimit))
		defer cancel()
		r.running.Conn().Close()
		var err error
		if r.status, err = r.running.Wait(ctx); err != nil {
			r.status = 1
			p.complain(fmt.Errorf("%s: %w", r.command.Path, err))
		}
		r.running.Close()
		r.running = nil
		if log, err := os.ReadFile(r.log); err == nil {
			p.stderr.Write(append(bytes.TrimRight(log, "\n"), "\n"[:min(1, len(log))]...))
		}
		if r.status != 0 && err == nil {
			p.complain(fmt.Errorf("%s: the program exited with status %d", r.command.Path, int32(r.status)))
		}
	}
	if r.log != "" {
		os.Remove(r.log)
		r.log = ""
	}
	return r.status
}
