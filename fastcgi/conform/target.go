package conform

import (
	"context"
	"fmt"
	"net"
	"time"
)

// DefaultTimeout is the time limit of a check if Target.Timeout is zero.
const DefaultTimeout = 5 * time.Second

// A Target is an endpoint to test. It can be tested any number of times, but only by one
// goroutine at a time: endpoints with one worker serve only one connection.
type Target struct {
	// Network and Address are as in net.Dial: "unix" and a path, or "tcp" and
	// host:port.
	Network, Address string

	// Params are variables of every request. They replace default ones of the same name.
	// php-fpm and fcgiwrap need a SCRIPT_FILENAME.
	Params []Param

	// Timeout is the time limit of each check, for everything it does. Zero means
	// DefaultTimeout.
	Timeout time.Duration

	// Quiet is how long a check waits for records that must not be sent. Zero means
	// 200 ms; it is never more than half of Timeout.
	Quiet time.Duration
}

// A Param is a variable of a request.
type Param struct{ Name, Value string }

func (t *Target) timeout() time.Duration {
	if t.Timeout <= 0 {
		return DefaultTimeout
	}
	return t.Timeout
}

func (t *Target) quiet() time.Duration {
	q := t.Quiet
	if q <= 0 {
		q = time.Second / 5
	}
	return min(q, t.timeout()/2)
}

// String returns the address as it is written on a command line.
func (t *Target) String() string {
	if t.Network == "unix" {
		return "unix:" + t.Address
	}
	return t.Address
}

// Run checks every clause. It returns an error only if the endpoint cannot be reached, or
// if ctx is done before the last check.
func (t *Target) Run(ctx context.Context) (*Report, error) {
	dialer := net.Dialer{Timeout: t.timeout()}
	c, err := dialer.DialContext(ctx, t.Network, t.Address)
	if err == nil {
		c.Close()
	} else if ctx.Err() == nil {
		return nil, fmt.Errorf("%s cannot be reached: %w", t, reason(err))
	}
	base := t.baseline(ctx)
	report := &Report{Address: t.String(), Results: make([]Result, 0, len(clauses))}
	for i := range clauses {
		if err := ctx.Err(); err != nil {
			return nil, fmt.Errorf("%s: the test was interrupted: %w", t, context.Cause(ctx))
		}
		report.add(t.check(ctx, &clauses[i], base))
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("%s: the test was interrupted: %w", t, context.Cause(ctx))
	}
	return report, nil
}

// check runs one check, on its own connections.
func (t *Target) check(ctx context.Context, c *clause, base *baseline) Result {
	v := verdict{NotApplicable, c.unseen}
	switch {
	case c.check == nil:
	case base.err != nil && c.id != "F20a":
		v.seen = "the plain request got no response"
	default:
		p := t.probe(ctx, base)
		v = c.check(p)
		p.close()
	}
	return Result{ID: c.id, Section: c.section, Clause: c.text, Outcome: v.outcome, Seen: v.seen}
}

// reason strips the operation and the addresses from a network error, because the
// message has the address already.
func reason(err error) error {
	if op, ok := err.(*net.OpError); ok {
		return op.Err
	}
	return err
}

// A baseline holds the results of the plainest requests, for comparison with others.
type baseline struct {
	err       error  // why the plain GET got no response
	get, post int    // status codes; 0 if there was no CGI response
	mpx       bool   // GET_VALUES says that the endpoint multiplexes
	mpxSaid   string // what GET_VALUES says about it
}

func (t *Target) baseline(ctx context.Context) *baseline {
	base := new(baseline)
	p := t.probe(ctx, base)
	s := p.dial()
	s.send(p.get(1, 0))
	if base.err = s.untilEnd(1); base.err == nil {
		base.get, _ = s.responses[1].status()
	}
	p.close()
	if base.err != nil {
		return base
	}
	p = t.probe(ctx, base)
	defer p.close()
	s = p.dial()
	s.send(p.post(1, 0, smallBody))
	if s.untilEnd(1) == nil {
		base.post, _ = s.responses[1].status()
	}
	base.askMultiplexing(p)
	return base
}

// askMultiplexing asks for FCGI_MPXS_CONNS.
func (base *baseline) askMultiplexing(p *probe) {
	base.mpxSaid = "GET_VALUES does not return FCGI_MPXS_CONNS"
	values, err := p.dial().ask(mpxConns)
	if err != nil {
		return
	}
	for _, v := range values {
		if v.Name == mpxConns {
			base.mpx = v.Value == "1"
			base.mpxSaid = fmt.Sprintf("FCGI_MPXS_CONNS is %q", v.Value)
		}
	}
}
