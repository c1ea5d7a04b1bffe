package probe

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// maxReasons is how many different errors a Load has. The others are counted together.
const maxReasons = 10

// A Load is what came of many requests.
type Load struct {
	Took     time.Duration
	Times    []time.Duration // of the complete responses, sorted
	Bytes    int64           // of their bodies
	Statuses map[int]int     // how many of them had each status
	Failed   int             // requests without a complete response
	Reasons  map[string]int  // why, and how many
}

// Load makes n requests, of which up to concurrent are under way at the same time, until ctx
// is done. Their Output gets nothing.
func (t *Target) Load(ctx context.Context, r *Request, n, concurrent int) *Load {
	l := &Load{Statuses: make(map[int]int), Reasons: make(map[string]int)}
	var mu sync.Mutex
	var begun atomic.Int64
	var group sync.WaitGroup
	start := time.Now()
	for range min(n, concurrent) {
		group.Go(func() {
			for ctx.Err() == nil && begun.Add(1) <= int64(n) {
				own := *r
				own.Head, own.Output, own.Stderr = nil, nil, nil
				result, err := t.Do(ctx, &own)
				if err != nil && ctx.Err() != nil {
					return
				}
				mu.Lock()
				l.add(result, err)
				mu.Unlock()
			}
		})
	}
	group.Wait()
	l.Took = time.Since(start)
	slices.Sort(l.Times)
	return l
}

func (l *Load) add(r Result, err error) {
	if err == nil {
		l.Times = append(l.Times, r.Total)
		l.Statuses[r.Code]++
		l.Bytes += r.Bytes
		return
	}
	l.Failed++
	reason := err.Error()
	if _, known := l.Reasons[reason]; !known && len(l.Reasons) >= maxReasons {
		reason = "other errors"
	}
	l.Reasons[reason]++
}

// quantile returns the shortest of the times that a share q of them does not exceed.
func (l *Load) quantile(q float64) time.Duration {
	if len(l.Times) == 0 {
		return 0
	}
	i := int(q*float64(len(l.Times))+0.999999) - 1
	return l.Times[min(max(i, 0), len(l.Times)-1)]
}

// WriteText writes the figures.
func (l *Load) WriteText(w io.Writer) error {
	var b strings.Builder
	n := len(l.Times)
	fmt.Fprintf(&b, "requests    %d in %s, %.0f/s\n", n+l.Failed, Milliseconds(l.Took), float64(n)/max(l.Took.Seconds(), 1e-9))
	if n > 0 {
		fmt.Fprintf(&b, "time        median %s, 99 %% within %s, longest %s\n",
			Milliseconds(l.quantile(0.5)), Milliseconds(l.quantile(0.99)), Milliseconds(l.Times[n-1]))
		fmt.Fprintf(&b, "received    %d bytes of bodies\n", l.Bytes)
	}
	for _, code := range slices.Sorted(maps.Keys(l.Statuses)) {
		fmt.Fprintf(&b, "status %d  %d\n", code, l.Statuses[code])
	}
	fmt.Fprintf(&b, "failed      %d\n", l.Failed)
	for _, reason := range slices.Sorted(maps.Keys(l.Reasons)) {
		fmt.Fprintf(&b, "    %d: %s\n", l.Reasons[reason], reason)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// Milliseconds formats d.
func Milliseconds(d time.Duration) string {
	return fmt.Sprintf("%.2f ms", float64(d)/float64(time.Millisecond))
}
