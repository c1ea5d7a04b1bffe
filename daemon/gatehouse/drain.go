package main

import (
	"errors"
	"fmt"
	"os"
	"strconv"

	"gatehouse/daemon"
)

// drain asks a gatehouse to drain, and waits for its end: for a hook that runs in a
// container without a shell.
func (p *process) drain(args []string) int {
	number, file := "", ""
	help, err := parseFlags("drain", args, []option{
		{name: "pid", set: setTo(&number)},
		{name: "pid-file", set: setTo(&file)},
	})
	if err != nil {
		return p.fail(err)
	}
	if help {
		return p.help(nil)
	}
	pid := 1
	switch {
	case number != "" && file != "":
		return p.fail(errors.New("--pid and --pid-file are both given: remove one"))
	case file != "":
		if pid, err = daemon.ReadPIDFile(file); err != nil {
			return p.fail(fmt.Errorf("--pid-file: %w", err))
		}
	case number != "":
		if pid, err = strconv.Atoi(number); err != nil || pid <= 0 {
			return p.fail(fmt.Errorf("--pid: %q is not the number of a process", number))
		}
	}
	if pid == os.Getpid() {
		return p.fail(fmt.Errorf("process %d is this command: write --pid or --pid-file", pid))
	}
	ended, err := terminate(pid)
	if err != nil {
		return p.fail(fmt.Errorf("process %d: %w", pid, err))
	}
	for {
		done, err := ended()
		switch {
		case err != nil:
			p.complain(fmt.Errorf("process %d: %w", pid, err))
			return exitServed
		case done:
			return exitDone
		}
		select {
		case <-p.signals:
			p.complain(fmt.Errorf("process %d is draining still", pid))
			return exitServed
		default:
		}
	}
}
