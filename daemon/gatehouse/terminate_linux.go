package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// pause is how long ended waits at most.
const pause = 200 * time.Millisecond

// terminate sends SIGTERM to a gatehouse. The function that it returns waits for a moment,
// and reports whether the process has ended.
func terminate(pid int) (ended func() (bool, error), err error) {
	fd, err := unix.PidfdOpen(pid, 0)
	switch {
	case errors.Is(err, unix.ESRCH):
		return nil, errors.New("there is none: write --pid or --pid-file")
	case err != nil:
		return nil, os.NewSyscallError("pidfd_open", err)
	}
	// Looked at while fd keeps its number from being given to another one.
	name, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/comm")
	if err == nil && !slices.Contains([]string{"gatehouse", "fcgiwrap", "slowcgi"}, strings.TrimSpace(string(name))) {
		unix.Close(fd)
		return nil, fmt.Errorf("it is %s, not gatehouse: write --pid or --pid-file", strings.TrimSpace(string(name)))
	}
	if err := unix.PidfdSendSignal(fd, unix.SIGTERM, nil, 0); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("SIGTERM cannot be sent: %w: run this command as its user or as root", err)
	}
	return func() (bool, error) {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, int(pause.Milliseconds()))
		if err == unix.EINTR {
			return false, nil
		}
		return n > 0, os.NewSyscallError("poll", err)
	}, nil
}
