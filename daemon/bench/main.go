//go:build linux

// Command bench measures the gateway beside its peers, and prints a table of
// ratios. Each row runs both sides in turn, with the same load from the same
// process, several times; what is printed is the median, and the spread of the
// ratio from round to round. Only the ratios mean anything: they hold on a machine
// whose speed drifts, and the load takes its share of the processors.
//
//	go run ./daemon/bench [-rounds N] [-time DUR] [ROW…]
package main

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"
)

// A row compares two sides under one load.
type row struct {
	name  string
	title string
	ours  side
	peer  side
	load  load
}

func rows() []row {
	kept, each := load{connections: 8, keep: true}, load{connections: 8}
	return []row{
		{"app", "FastCGI hello, an App, 8 kept connections", gateway("/=hello"), peer("net/http/fcgi"), kept},
		{"handler", "FastCGI hello, an http.Handler, 8 kept connections", peer("fastcgi.Serve"), peer("net/http/fcgi"), kept},
		{"connect", "FastCGI hello, an App, a connection per request, 8 at a time", gateway("/=hello"), peer("net/http/fcgi"), each},
		{"cgi", "CGI hello (static C), a connection per request, 8 at a time", gateway("/=scripts:{dir}"), fcgiwrap(8), each.script("{dir}/hello")},
	}
}

func main() {
	if name := os.Getenv(peerVariable); name != "" {
		fatal(servePeer(name))
	}
	rounds := flag.Int("rounds", 5, "how often each side of a row is measured")
	length := flag.Duration("time", 2*time.Second, "how long each measurement takes")
	flag.Parse()
	for _, name := range flag.Args() {
		if !slices.ContainsFunc(rows(), func(r row) bool { return r.name == name }) {
			fatal(fmt.Errorf("there is no row %q", name))
		}
	}
	fatal(run(*rounds, *length, flag.Args()))
}

func fatal(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(rounds int, length time.Duration, only []string) error {
	w, err := newWorkshop()
	if err != nil {
		return err
	}
	defer w.close()
	fmt.Printf("%-62s %12s %12s %8s %14s\n", "row (peer)", "ours/s", "peer/s", "ratio", "spread")
	for _, r := range rows() {
		if len(only) > 0 && !slices.Contains(only, r.name) {
			continue
		}
		ours, peers, ratios, err := measure(w, r, rounds, length)
		if err != nil {
			return fmt.Errorf("%s: %w", r.name, err)
		}
		fmt.Printf("%-62s %12.0f %12.0f %8.2f %14s\n", r.title+" ("+r.peer.name+")", median(ours), median(peers), median(ratios),
			fmt.Sprintf("%.2f–%.2f", slices.Min(ratios), slices.Max(ratios)))
	}
	return nil
}

// measure runs both sides of a row in turn.
func measure(w *workshop, r row, rounds int, length time.Duration) (ours, peers, ratios []float64, err error) {
	a, err := w.start(r.ours)
	if err != nil {
		return nil, nil, nil, err
	}
	defer a.stop()
	b, err := w.start(r.peer)
	if err != nil {
		return nil, nil, nil, err
	}
	defer b.stop()
	l := r.load
	l.filename = strings.ReplaceAll(l.filename, "{dir}", w.dir)
	for i := range rounds + 1 {
		x, err := l.run(a.socket, length)
		if err != nil {
			return nil, nil, nil, fmt.Errorf("ours: %w", err)
		}
		y, err := l.run(b.socket, length)
		if err != nil {
			return nil, nil, nil, fmt.Errorf("%s: %w", r.peer.name, err)
		}
		if i > 0 { // the first round warms up
			ours, peers, ratios = append(ours, x), append(peers, y), append(ratios, x/y)
		}
	}
	return ours, peers, ratios, nil
}

func median(v []float64) float64 {
	v = slices.Sorted(slices.Values(v))
	if n := len(v); n%2 == 0 {
		return (v[n/2-1] + v[n/2]) / 2
	}
	return v[len(v)/2]
}
