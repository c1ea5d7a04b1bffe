//go:build linux

package main

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// A usage is the processor time, user and system, used by the load and a side.
type usage struct {
	load, side time.Duration
}

// usageOf returns the processor time used so far. Without a control group, programs that
// a side runs count only once the side has waited for them.
func usageOf(r *running) (usage, error) {
	var self unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &self); err != nil {
		return usage{}, fmt.Errorf("getrusage: %w", err)
	}
	u := usage{load: time.Duration(self.Utime.Nano() + self.Stime.Nano())}
	var err error
	if r.group != "" {
		u.side, err = r.group.used()
	} else {
		u.side, err = processorTime(r.groups())
	}
	return u, err
}

// startMeasuring starts the measurement. What a meter did before does not count.
func (r *running) startMeasuring() (err error) {
	r.measuringSince = time.Now()
	r.before, err = usageOf(r)
	return err
}

// stopMeasuring stops the measurement, and returns how long it took.
func (r *running) stopMeasuring(requests int) (time.Duration, error) {
	elapsed := time.Since(r.measuringSince)
	after, err := usageOf(r)
	r.used = usage{r.used.load + after.load - r.before.load, r.used.side + after.side - r.before.side}
	r.requests += requests
	return elapsed, err
}

// share returns the load's share of the processor time.
func (u usage) share() float64 { return float64(u.load) / float64(u.load+u.side) }

// processorTime returns the processor time of all processes in some process groups: the
// sum of utime, stime, cutime and cstime in /proc/PID/stat, in hundredths of a second.
func processorTime(groups []int) (time.Duration, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return 0, err
	}
	var sum time.Duration
	for _, e := range entries {
		if _, err := strconv.Atoi(e.Name()); err != nil {
			continue
		}
		b, err := os.ReadFile("/proc/" + e.Name() + "/stat")
		if err != nil {
			continue // it has ended
		}
		f := bytes.Fields(b[bytes.LastIndexByte(b, ')')+1:])
		if len(f) < 15 {
			return 0, fmt.Errorf("/proc/%s/stat is %q", e.Name(), b)
		}
		if group, err := strconv.Atoi(string(f[2])); err != nil || !slices.Contains(groups, group) {
			continue
		}
		for _, ticks := range f[11:15] {
			n, err := strconv.Atoi(string(ticks))
			if err != nil {
				return 0, fmt.Errorf("/proc/%s/stat: %w", e.Name(), err)
			}
			sum += time.Duration(n) * 10 * time.Millisecond
		}
	}
	return sum, nil
}
