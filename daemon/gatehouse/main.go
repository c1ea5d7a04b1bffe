// Command gatehouse stands between a web server and CGI-family applications. Say
// "gatehouse help" for how to use it; package gatehouse/daemon is its manual. Started
// by the name fcgiwrap or slowcgi it takes the flags of that program, and its place.
//
// What goes wrong before the first request is told in one line on standard error,
// "gatehouse: " and the message, and ends with status 2; afterwards the log tells
// it, and the status is 1. After a drain it is 0.
package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
)

func main() {
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGTERM, os.Interrupt, syscall.SIGHUP)
	// SIGPIPE is caught so that a log that nobody reads does not end the process;
	// ignoring it would be inherited by the programs.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	p := &process{name: filepath.Base(os.Args[0]), stdout: os.Stdout, stderr: os.Stderr, getenv: os.Getenv, signals: signals}
	os.Exit(p.run(context.Background(), os.Args[1:]))
}

// A process is what the command has around it.
type process struct {
	name           string // by which it was started
	stdout, stderr io.Writer
	getenv         func(string) string
	signals        <-chan os.Signal
}
