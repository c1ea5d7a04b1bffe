package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"

	"gatehouse/daemon"
)

// reload has a running gatehouse reload its configuration, and waits for that. It prints what
// is wrong with it.
func (p *process) reload(ctx context.Context, args []string) int {
	var pid, file string
	help, err := parseFlags("reload", args, []option{
		{name: "pid", set: setTo(&pid)},
		{name: "pid-file", set: setTo(&file)},
	})
	switch {
	case err != nil:
		return p.fail(err)
	case help:
		return p.help(nil)
	case (pid == "") == (file == ""):
		return p.fail(errors.New("reload needs to know the process: write --pid N or --pid-file FILE"))
	case file != "":
		b, err := os.ReadFile(file)
		if err != nil {
			return p.fail(err)
		}
		pid = string(bytes.TrimSpace(b))
	}
	n, err := strconv.ParseInt(pid, 10, 32)
	if err != nil || n < 2 {
		return p.fail(fmt.Errorf("%q is not the number of a process", pid))
	}
	if err := daemon.RequestReload(ctx, int(n)); err != nil {
		p.complain(err)
		return exitServed
	}
	return p.print("configuration reloaded\n")
}
