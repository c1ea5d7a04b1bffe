package cgi

import (
	"fmt"
	"math"
	"net/http"
	"time"
)

// paceSlack is how far a body may be behind Limits.BodyRate.
const paceSlack = 60 * time.Second

// A Pace measures how fast a body comes, for a front-end that holds the sender to
// Limits.BodyRate. Only time in which somebody waits for the body counts. The zero value is
// for a body of which nothing has come.
type Pace struct {
	behind float64 // seconds; what comes faster than it must is not saved up
	came   int64   // bytes, as of the last call
}

// Measure notes that the body was waited for, for some more time, and that came bytes of it
// have come in all. If the body is 60 s behind the rate by now, the result is a StatusError
// of 408. A negative rate is no limit.
func (p *Pace) Measure(waited time.Duration, came, rate int64) error {
	if rate < 0 {
		return nil
	}
	p.behind = max(0, p.behind+waited.Seconds()-float64(came-p.came)/float64(rate))
	p.came = came
	if p.behind < paceSlack.Seconds() {
		return nil
	}
	return &StatusError{Code: http.StatusRequestTimeout,
		Err: fmt.Errorf("the body is %v behind a rate of %d bytes/s (body_rate)", paceSlack, rate), Check: "body_rate"}
}

// left returns how long the body can be waited for until Measure returns an error, if no
// more of it comes.
func (p *Pace) left(rate int64) time.Duration {
	if rate < 0 {
		return math.MaxInt64
	}
	return paceSlack - time.Duration(p.behind*float64(time.Second)) + time.Millisecond // for rounding
}
