//go:build linux

package main

import (
	"bytes"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// A resident load measures the memory that an idle connection costs after one request:
// the side's resident set once it is steady, less that before the connections were
// opened. The side must be freshly started and a single process.
type resident struct {
	connections int
	steadyFor   time.Duration // how long the figure must not change
}

func (resident) figures() []string { return []string{"kB"} }

func (l resident) measure(r *running, _ time.Duration) ([]float64, error) {
	if err := l.exchange(r.socket, 1, nil); err != nil { // allocates what is shared by all connections
		return nil, err
	}
	pid := r.commands[0].Process.Pid
	before, err := l.waitSteady(pid)
	if err != nil {
		return nil, err
	}
	var after float64
	err = l.exchange(r.socket, l.connections, func() (err error) {
		after, err = l.waitSteady(pid)
		return err
	})
	if err != nil {
		return nil, err
	}
	return []float64{(after - before) / float64(l.connections)}, nil
}

// exchange opens n connections, sends a request on each, calls while, and closes them.
func (l resident) exchange(socket string, n int, while func() error) error {
	want := response{body: helloText}
	request := request{keep: true}.bytes()
	buf := make([]byte, 4096)
	var open []blocking
	defer func() {
		for _, c := range open {
			c.Close()
		}
	}()
	for range n {
		c, err := dial(socket)
		if err != nil {
			return err
		}
		open = append(open, c)
		if _, err := c.Write(request); err != nil {
			return err
		}
		if err := want.read(c, buf); err != nil {
			return err
		}
	}
	if while == nil {
		return nil
	}
	if err := while(); err != nil {
		return err
	}
	// A connection closed by the side costs nothing, and would spoil the figure.
	for _, c := range open {
		if n, _, err := unix.Recvfrom(int(c), buf, unix.MSG_PEEK|unix.MSG_DONTWAIT); err != unix.EAGAIN {
			return fmt.Errorf("an idle connection did not stay as it was: %d bytes, %v", n, err)
		}
	}
	return nil
}

// waitSteady waits until the resident set of a process is steady, for at most ten times
// steadyFor, and returns it in kB.
func (l resident) waitSteady(pid int) (float64, error) {
	var last float64
	steady := 0
	for i := 0; i < 50 && steady < 5; i++ {
		time.Sleep(l.steadyFor / 5)
		kB, err := residentSet(pid)
		if err != nil {
			return 0, err
		}
		if kB > last*0.998 && kB < last*1.002 {
			steady++
		} else {
			last, steady = kB, 0
		}
	}
	return last, nil
}

func residentSet(pid int) (kB float64, err error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		return 0, err
	}
	_, rest, _ := bytes.Cut(b, []byte("\nRss:"))
	if _, err := fmt.Sscan(string(rest), &kB); err != nil {
		return 0, fmt.Errorf("no Rss in smaps_rollup: %w", err)
	}
	return kB, nil
}
