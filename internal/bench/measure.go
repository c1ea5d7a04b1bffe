//go:build linux

package main

import (
	"fmt"
	"time"
)

// A result holds the measurements of one contender of a row.
type result struct {
	side    string
	figures [][]float64 // by figure, then by round
	used    usage
	count   int // requests
}

// measure runs the contenders of a row in turn, several times. The first result is
// ours, the others are the peers'.
func measure(w *workshop, r row, rounds int, length time.Duration) ([]result, error) {
	contenders := []contender{r.ours}
	for _, p := range r.peers {
		contenders = append(contenders, p.contender)
	}
	sides := make([]*running, len(contenders))
	defer func() {
		for _, s := range sides {
			if s != nil {
				s.stop()
			}
		}
	}()
	results := make([]result, len(contenders))
	if r.once {
		rounds = 1
	}
	for round := range rounds + 1 {
		if round == 0 && r.fresh {
			continue // nothing to warm up
		}
		for i, c := range contenders {
			results[i].side = c.side.name
			var err error
			if sides[i] == nil {
				if sides[i], err = w.startSide(c.side); err != nil {
					return nil, err
				}
			}
			values, err := c.meter.measure(sides[i], length)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", c.side.name, err)
			}
			results[i].used, results[i].count = sides[i].used, sides[i].requests
			if round > 0 { // the first round warms up
				results[i].add(values)
			}
			if r.fresh {
				sides[i].stop()
				sides[i] = nil
			}
		}
	}
	return results, nil
}

func (r *result) add(values []float64) {
	for i, v := range values {
		if i == len(r.figures) {
			r.figures = append(r.figures, nil)
		}
		r.figures[i] = append(r.figures[i], v)
	}
}

// ratios returns ours divided by theirs, round by round.
func ratios(ours, theirs []float64) []float64 {
	var out []float64
	for i := range ours {
		out = append(out, ours[i]/theirs[i])
	}
	return out
}
