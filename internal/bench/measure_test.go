//go:build linux

package main

import (
	"io"
	"os"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"gatehouse/cgi"
)

// TestUsage: what this process used can be read, and the share is the load's.
func TestUsage(t *testing.T) {
	for start := time.Now(); ; {
		used, err := processorTime([]int{unix.Getpgrp()})
		if err != nil {
			t.Fatal(err)
		}
		if used > 0 {
			break
		}
		if time.Since(start) > time.Minute {
			t.Fatal("no processor time")
		}
	}
	if used, err := processorTime(nil); used != 0 || err != nil {
		t.Errorf("%v of no process, %v", used, err)
	}
	if kB, err := residentSet(os.Getpid()); err != nil || kB < 1000 {
		t.Errorf("%v kB, %v", kB, err)
	}
	if kB, err := peakSet(os.Getpid()); err != nil || kB < 1000 {
		t.Errorf("%v kB at most, %v", kB, err)
	}
	if got := (usage{load: 1, side: 3}).share(); got != 0.25 {
		t.Errorf("share %v", got)
	}
}

// TestGroup: a side's control group counts what it used, and is gone with it.
func TestGroup(t *testing.T) {
	w := &workshop{dir: t.TempDir()}
	r, err := w.startSide(self(bareLoop, hello))
	if err != nil {
		t.Fatal(err)
	}
	used, err := usageOf(r)
	r.stop()
	if err != nil || r.group != "" && used.side <= 0 {
		t.Errorf("%v used, %v", used.side, err)
	}
	if _, err := os.Stat(string(r.group)); !os.IsNotExist(err) {
		t.Errorf("%s is left", r.group)
	}
}

// TestUnevenness: those who wait alike give 1.
func TestUnevenness(t *testing.T) {
	even := make([]time.Duration, 200)
	for i := range even {
		even[i] = time.Second
	}
	if got := unevenness(even); got != 1 {
		t.Errorf("%v of equal ones", got)
	}
	for i := range 3 { // more than one in a hundred
		even[i] = 101 * time.Second
	}
	if got := unevenness(even); got != 101/2.5 {
		t.Errorf("%v, want %v", got, 101/2.5)
	}
}

// TestQueuedLoadRunsInTurns: each client has a response that counts, however short the
// measurement.
func TestQueuedLoadRunsInTurns(t *testing.T) {
	n := 0
	var mu sync.Mutex
	r := serve(t, func(w cgi.ResponseWriter, r *cgi.Request) error {
		mu.Lock()
		n++
		mu.Unlock()
		if err := w.StartResponse("200 OK", nil); err != nil {
			return err
		}
		_, err := io.WriteString(w, helloText)
		return err
	}, false)
	values, err := load{connections: 5, request: request{keep: true}, queued: true}.measure(r, 0)
	if err != nil || len(values) != 2 || values[0] < 1 {
		t.Errorf("measured %v, %v", values, err)
	}
	if n < 4*5 { // the first of each before it counts, then three of each
		t.Errorf("%d requests", n)
	}
}

// A counting meter counts how often it measures.
type counting struct{ n *int }

func (counting) figures() []string { return []string{"times"} }

func (c counting) measure(*running, time.Duration) ([]float64, error) {
	*c.n++
	return []float64{float64(*c.n)}, nil
}

// TestRounds: a row has as many rounds as are wanted and one to warm up, unless its
// sides are fresh, or once is enough.
func TestRounds(t *testing.T) {
	w := &workshop{dir: t.TempDir()}
	for _, c := range []struct {
		fresh, once bool
		want        int
	}{{false, false, 4}, {true, false, 3}, {true, true, 1}, {false, true, 2}} {
		n := 0
		results, err := measure(w, row{fresh: c.fresh, once: c.once, ours: contender{self(bareLoop, hello), counting{&n}}}, 3, 0)
		if err != nil {
			t.Fatal(err)
		}
		if n != c.want || len(results) != 1 {
			t.Errorf("%+v: measured %d times", c, n)
		}
	}
}
