package client

import (
	"context"
	"fmt"

	"gatehouse/fastcgi/record"
)

// The names that GET_VALUES may ask for (FastCGI 1.0 § 4.1).
const (
	MaxConns  = "FCGI_MAX_CONNS"  // how many connections the application accepts at once
	MaxReqs   = "FCGI_MAX_REQS"   // how many requests, on all of them
	MpxsConns = "FCGI_MPXS_CONNS" // "1" if requests may share a connection
)

// GetValues asks the application for values by their names. Those that it does not know
// are missing in the result.
func (c *Conn) GetValues(ctx context.Context, names ...string) (map[string]string, error) {
	var pairs []byte
	for _, name := range names {
		pairs = record.AppendPair(pairs, name, "")
	}
	typ, content, err := c.Manage(ctx, record.GetValues, pairs)
	if err != nil {
		return nil, err
	}
	if typ != record.GetValuesResult {
		return nil, &ProtocolError{typ, 0, "not a " + record.GetValuesResult.String()}
	}
	values := make(map[string]string)
	for len(content) > 0 {
		name, value, rest, err := record.NextPair(content)
		if err != nil {
			return nil, &ProtocolError{typ, 0, err.Error()}
		}
		values[string(name)], content = string(value), rest
	}
	return values, nil
}

// Manage sends a management record, of any type, and returns the next that comes: the
// answer to a type that the application does not know is UNKNOWN_TYPE. One call after the
// other has its turn. When ctx is done first, an answer that still comes may be taken for
// that of the next call.
//
// content has at most [record.MaxContent] bytes.
func (c *Conn) Manage(ctx context.Context, typ record.Type, content []byte) (record.Type, []byte, error) {
	if len(content) > record.MaxContent {
		return 0, nil, fmt.Errorf("fastcgi: a management record of %d bytes; it holds %d", len(content), record.MaxContent)
	}
	x := &exchange{conn: c}
	stop := x.watch(ctx)
	defer stop()
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.manage != nil && x.err == nil && c.unusable() == nil {
		c.cond.Wait()
	}
	if x.err != nil {
		return 0, nil, x.err
	}
	if err := c.unusable(); err != nil {
		return 0, nil, err
	}
	c.manage = x
	defer func() {
		c.manage = nil
		c.cond.Broadcast()
	}()
	c.mu.Unlock()
	x.write(record.AppendRecord(nil, typ, 0, content)) // what is wrong shows below
	c.mu.Lock()
	for !x.replied {
		if x.err != nil {
			return 0, nil, x.err
		}
		if c.err != nil {
			return 0, nil, &TruncatedError{Err: c.err}
		}
		c.advance(x)
	}
	return x.reply, x.replyContent, nil
}
