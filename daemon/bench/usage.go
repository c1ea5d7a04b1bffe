//go:build linux

package main

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// A usage is the processor time, user and system, that the load and a side took.
type usage struct {
	load, side time.Duration
}

// usageOf returns what has been used until now. Processes that a side started count
// once the side has waited for them.
func usageOf(r *running) (usage, error) {
	var self unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &self); err != nil {
		return usage{}, fmt.Errorf("getrusage: %w", err)
	}
	u := usage{load: time.Duration(self.Utime.Nano() + self.Stime.Nano())}
	for _, c := range r.commands {
		t, err := processTime(c.Process.Pid)
		if err != nil {
			return usage{}, err
		}
		u.side += t
	}
	return u, nil
}

// begin begins what a meter measures: what it had to do before does not count.
func (r *running) begin() (err error) {
	r.began = time.Now()
	r.before, err = usageOf(r)
	return err
}

// end ends what begin began, and returns how long it took.
func (r *running) end(requests int) (time.Duration, error) {
	elapsed := time.Since(r.began)
	after, err := usageOf(r)
	r.used = usage{r.used.load + after.load - r.before.load, r.used.side + after.side - r.before.side}
	r.requests += requests
	return elapsed, err
}

// share is the load's part of the processor time.
func (u usage) share() float64 { return float64(u.load) / float64(u.load+u.side) }

// processTime reads utime, stime, cutime and cstime from /proc/PID/stat, which counts
// in hundredths of a second.
func processTime(pid int) (time.Duration, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	f := bytes.Fields(b[bytes.LastIndexByte(b, ')')+1:])
	if len(f) < 15 {
		return 0, fmt.Errorf("/proc/%d/stat is %q", pid, b)
	}
	var sum time.Duration
	for _, ticks := range f[11:15] {
		n, err := strconv.Atoi(string(ticks))
		if err != nil {
			return 0, fmt.Errorf("/proc/%d/stat: %w", pid, err)
		}
		sum += time.Duration(n) * 10 * time.Millisecond
	}
	return sum, nil
}
