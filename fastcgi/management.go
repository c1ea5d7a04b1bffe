package fastcgi

import (
	"math"
	"strconv"

	"gatehouse/cgi"
	"gatehouse/fastcgi/record"
)

// The variables that GET_VALUES may ask for (FastCGI 1.0 § 4.1).
const (
	maxConns = "FCGI_MAX_CONNS"
	maxReqs  = "FCGI_MAX_REQS"
	mpxConns = "FCGI_MPXS_CONNS"
)

// management handles a record with request id 0, of which the content is kept
// until it is complete; a record bounds it.
func (c *conn) management() error {
	in := &c.in
	if in.left > 0 {
		b, err := in.content()
		if err != nil {
			return err
		}
		if in.typ == record.GetValues {
			c.values = append(c.values, b...)
		}
		in.consume(len(b))
		if in.left > 0 {
			return nil
		}
	}
	// It is answered before its padding is read: a kick within that may not lose it.
	if err := c.answerManagement(); err != nil {
		return err
	}
	return in.finish()
}

// answerManagement answers a management record that is complete.
func (c *conn) answerManagement() error {
	if typ := c.in.typ; typ != record.GetValues {
		return c.send(record.AppendUnknownType(nil, typ))
	}
	asked := c.values
	c.values = nil
	reply, err := c.appendValues(nil, asked)
	if err != nil {
		return malformed("GET_VALUES: %v", err)
	}
	c.mu.Lock()
	c.mux = c.mux || c.srv.current.Get().limits.Requests > 1
	c.mu.Unlock()
	return c.send(record.AppendRecord(nil, record.GetValuesResult, 0, reply))
}

// maxRequests returns how many requests the server takes at once, in a number that fits
// 32 bits, which is what peers read it into.
func maxRequests(l *cgi.Limits) int64 {
	return min(int64(l.Connections)*int64(l.Requests), math.MaxInt32)
}

// appendValues appends the pairs that answer the names asked for; a name that is
// unknown is left out, one that is asked twice is answered once (F13).
func (c *conn) appendValues(reply, asked []byte) ([]byte, error) {
	limits := &c.srv.current.Get().limits
	var said [3]bool
	for len(asked) > 0 {
		name, _, rest, err := record.NextPair(asked)
		if err != nil {
			return nil, err
		}
		asked = rest
		switch s := string(name); {
		case s == maxConns && !said[0]:
			said[0] = true
			reply = record.AppendPair(reply, s, strconv.Itoa(limits.Connections))
		case s == maxReqs && !said[1]:
			said[1] = true
			reply = record.AppendPair(reply, s, strconv.FormatInt(maxRequests(limits), 10))
		case s == mpxConns && !said[2]:
			said[2] = true
			value := "1"
			if limits.Requests == 1 {
				value = "0"
			}
			reply = record.AppendPair(reply, s, value)
		}
	}
	return reply, nil
}
