// Command gatehouse connects a web server to CGI-family applications. "gatehouse help"
// prints its usage; the documentation of package gatehouse/daemon is its manual. Run as
// fcgiwrap or slowcgi, it replaces that program and takes its flags.
//
// If something fails before the first request, gatehouse prints a line for each problem
// to standard error, "gatehouse: " and the message, and exits with status 2. Later errors
// go to the log, and the exit status is 1. It is 0 after draining.
package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"gatehouse/daemon"
	"gatehouse/iis"
)

func main() {
	p := &process{name: filepath.Base(os.Args[0]), stdin: os.Stdin, stdout: os.Stdout, getenv: os.Getenv}
	if p.startsCGI(os.Args[1:]) {
		os.Exit(p.runCGI(os.Args[1:]))
	}
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, daemon.Signals()...)
	// SIGPIPE is caught so that a log that nobody reads does not kill the process. If it
	// were ignored, the programs would inherit that.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	if iis.Started() || iis.IsProgram() {
		iis.EnsureStderr() // it has told the event log, and there is no other place to tell
	}
	// Whatever blocks standard error, the process takes signals, and ends.
	stderr := daemon.NewLogWriter(os.Stderr)
	p.stderr, p.signals = stderr, signals
	p.commandLine = daemon.CommandLine(os.Args)
	var status int
	var err error
	if p.predecessor, err = daemon.FindPredecessor(); err != nil {
		status = p.fail(err)
	} else {
		status = p.run(context.Background(), os.Args[1:])
	}
	stderr.Flush() // nobody could be told of its error
	os.Exit(status)
}

// A process holds what the command uses of its process.
type process struct {
	name           string // the name it was started under
	stdin          io.Reader
	stdout, stderr io.Writer
	getenv         func(string) string
	signals        <-chan os.Signal
	commandLine    []string            // see daemon.CommandLine
	predecessor    *daemon.Predecessor // nil for none
}

// environment returns what a daemon of this process needs. reload reads its configuration
// anew.
func (p *process) environment(reload func() (*daemon.Config, error)) daemon.Environment {
	return daemon.Environment{Stdout: p.stdout, Stderr: p.stderr, Alone: true, Reload: reload,
		Predecessor: p.predecessor, Args: p.commandLine, Version: ownVersion()}
}
