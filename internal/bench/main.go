//go:build linux

// Command bench compares the gateway with its peers and prints a table of ratios. Each
// row measures its sides in turn, several times, with the same load from the same
// process, and prints the median and the spread of the ratio. Only the ratios mean
// anything: rates depend on the machine, and the load shares its processors.
// docs/benchmarks.md describes the rows.
//
//	go run ./internal/bench [-rounds N] [-time DUR] [-v] [ROW…]
package main

import (
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"time"
)

func main() {
	if name := os.Getenv(sideVariable); name != "" {
		fatal(serveSide(name))
	}
	rounds := flag.Int("rounds", 5, "how often each side of a row is measured")
	length := flag.Duration("time", 2*time.Second, "how long each measurement takes")
	verbose := flag.Bool("v", false, "also print the processor time used")
	flag.Parse()
	fatal(run(*rounds, *length, *verbose, flag.Args()))
}

func fatal(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(rounds int, length time.Duration, verbose bool, only []string) error {
	if rounds < 1 {
		return fmt.Errorf("-rounds is %d: it must be at least 1", rounds)
	}
	w, err := newWorkshop()
	if err != nil {
		return err
	}
	defer w.close()
	// The sides die with this process, but the directory does not.
	interrupted := make(chan os.Signal, 1)
	signal.Notify(interrupted, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-interrupted
		w.close()
		os.Exit(1)
	}()
	all := rows(w, full())
	for _, name := range only {
		if !slices.ContainsFunc(all, func(r row) bool { return r.name == name }) {
			return fmt.Errorf("there is no row %q", name)
		}
	}
	printHeading(os.Stdout)
	for _, r := range all {
		if len(only) > 0 && !slices.Contains(only, r.name) {
			continue
		}
		results, err := measure(w, r, rounds, length)
		if err != nil {
			return fmt.Errorf("%s: %w", r.name, err)
		}
		printRow(os.Stdout, r, results)
		if verbose {
			printUsage(os.Stdout, results)
		}
	}
	return nil
}
