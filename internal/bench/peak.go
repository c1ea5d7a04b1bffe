//go:build linux

package main

import (
	"bytes"
	"fmt"
	"os"
	"time"
)

// A peak measures the side's largest resident set under a load. The side must be freshly
// started and a single process; programs that it runs do not count.
type peak struct {
	meter
}

func (peak) figures() []string { return []string{"MB"} }

func (p peak) measure(r *running, length time.Duration) ([]float64, error) {
	if _, err := p.meter.measure(r, length); err != nil {
		return nil, err
	}
	kB, err := peakSet(r.commands[0].Process.Pid)
	return []float64{kB * 1024 / 1e6}, err
}

func peakSet(pid int) (kB float64, err error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	_, rest, _ := bytes.Cut(b, []byte("\nVmHWM:"))
	if _, err := fmt.Sscan(string(rest), &kB); err != nil {
		return 0, fmt.Errorf("no VmHWM in status: %w", err)
	}
	return kB, nil
}
