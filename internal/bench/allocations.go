//go:build linux

package main

import (
	"fmt"
	"io"
	"net"
	"runtime"
	"strconv"
	"time"
)

// An allocating load counts the objects that a side allocates per request, on one
// connection. The side must be this program.
type allocating struct {
	requests int
}

func (allocating) figures() []string { return []string{"allocs"} }

func (l allocating) measure(r *running, _ time.Duration) ([]float64, error) {
	c, err := dial(r.socket)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	want := response{body: helloText}
	request := request{keep: true}.bytes()
	buf := make([]byte, 4096)
	exchange := func(n int) error {
		for range n {
			if _, err := c.Write(request); err != nil {
				return err
			}
			if err := want.read(c, buf); err != nil {
				return err
			}
		}
		return nil
	}
	if err := exchange(10); err != nil {
		return nil, err
	}
	before, err := askAllocations(r.socket)
	if err != nil {
		return nil, err
	}
	if err := exchange(l.requests); err != nil {
		return nil, err
	}
	after, err := askAllocations(r.socket)
	if err != nil {
		return nil, err
	}
	return []float64{float64(after-before) / float64(l.requests)}, nil
}

// countersOf returns the socket on which this program, as a side, reports allocations.
func countersOf(socket string) string { return socket + ".counters" }

// serveAllocations reports on every connection how many objects this process has
// allocated.
func serveAllocations(socket string) error {
	l, err := net.Listen("unix", countersOf(socket))
	if err != nil {
		return err
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			var stats runtime.MemStats
			runtime.ReadMemStats(&stats)
			fmt.Fprint(c, stats.Mallocs)
			c.Close()
		}
	}()
	return nil
}

func askAllocations(socket string) (uint64, error) {
	c, err := net.Dial("unix", countersOf(socket))
	if err != nil {
		return 0, err
	}
	defer c.Close()
	b, err := io.ReadAll(c)
	if err != nil {
		return 0, err
	}
	return strconv.ParseUint(string(b), 10, 64)
}
