//go:build linux

package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"
)

// The columns of the table. Numbers are aligned to the right.
var columns = []struct {
	title string
	width int
	right bool
}{
	{"row", 12, false}, {"ours", 62, false}, {"", 10, true}, {"peer", 19, false}, {"", 10, true}, {"unit", 8, false},
	{"ratio", 6, true}, {"spread", 11, true}, {"goal", 8, true}, {"", 8, false},
}

func printLine(w io.Writer, cells ...string) {
	var b strings.Builder
	for i, c := range columns {
		pad := strings.Repeat(" ", max(0, c.width-utf8.RuneCountInString(cells[i])))
		if c.right {
			b.WriteString(pad + cells[i])
		} else {
			b.WriteString(cells[i] + pad)
		}
		b.WriteString("  ")
	}
	fmt.Fprintln(w, strings.TrimRight(b.String(), " "))
}

func printHeading(w io.Writer) {
	var titles []string
	for _, c := range columns {
		titles = append(titles, c.title)
	}
	printLine(w, titles...)
}

// printRow prints a line for each peer and figure: the medians, the median of the ratio
// and its spread from round to round, and whether the goal is met.
func printRow(w io.Writer, r row, results []result) {
	ours := results[0]
	for i, p := range r.peers {
		for j, unit := range r.ours.meter.figures() {
			theirs := results[i+1].figures[j]
			ratio := ratios(ours.figures[j], theirs)
			goal, mark := "", ""
			if j == 0 {
				goal = p.goal.String()
				if !p.goal.met(median(ours.figures[j]), median(theirs), median(ratio)) {
					mark = "✗ missed"
				}
			}
			printLine(w, r.name, r.title, number(median(ours.figures[j])), p.side.name, number(median(theirs)), unit,
				number(median(ratio)), number(slices.Min(ratio))+"–"+number(slices.Max(ratio)), goal, mark)
		}
	}
}

// printUsage prints the processor time of each side and its load. Where the load is
// slower than the side, the cost of a request says more than the rate.
func printUsage(w io.Writer, results []result) {
	for _, r := range results {
		if r.count > 0 {
			fmt.Fprintf(w, "    %-19s %.1f µs a request; the load used %.0f %% of the processor time\n",
				r.side, float64(r.used.side.Nanoseconds())/1e3/float64(r.count), 100*r.used.share())
		}
	}
}

// number formats a number with at least three digits.
func number(v float64) string {
	switch {
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.2f", v)
}

func median(v []float64) float64 {
	v = slices.Sorted(slices.Values(v))
	if n := len(v); n%2 == 0 {
		return (v[n/2-1] + v[n/2]) / 2
	}
	return v[len(v)/2]
}
