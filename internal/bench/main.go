//go:build linux

// Command bench measures the gateway beside its peers, and prints a table of
// ratios. Each row runs its sides in turn, with the same load from the same
// process, several times; what is printed is the median, and the spread of the
// ratio from round to round. Only the ratios mean anything: they hold on a machine
// whose speed drifts, and the load takes its share of the processors.
// docs/benchmarks.md says what each row is.
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
	verbose := flag.Bool("v", false, "say what the load took of the processors")
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
		return fmt.Errorf("-rounds is %d, and must be 1 or more", rounds)
	}
	w, err := newWorkshop()
	if err != nil {
		return err
	}
	defer w.close()
	// The sides end with this process, the folder does not.
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
