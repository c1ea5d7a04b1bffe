//go:build !linux

package main

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"
)

// pause is how long ended waits at most.
const pause = 200 * time.Millisecond

// terminate sends SIGTERM to a process. The function that it returns waits for a moment,
// and reports whether the process has ended.
func terminate(pid int) (ended func() (bool, error), err error) {
	process, err := os.FindProcess(pid)
	if err == nil {
		err = process.Signal(syscall.SIGTERM)
	}
	switch {
	case errors.Is(err, os.ErrProcessDone):
		return nil, errors.New("there is none: write --pid or --pid-file")
	case err != nil:
		return nil, fmt.Errorf("SIGTERM cannot be sent: %w: run this command as its user or as root", err)
	}
	return func() (bool, error) {
		time.Sleep(pause)
		return process.Signal(syscall.Signal(0)) != nil, nil
	}, nil
}
