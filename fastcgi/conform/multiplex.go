package conform

import (
	"gatehouse/fastcgi/record"
)

// secondBegin begins a second request before the first has its STDIN.
func secondBegin(p *probe) verdict {
	first, second := p.get(1, record.KeepConn), p.get(2, record.KeepConn)
	stdin := len(first) - record.HeaderLen
	s := p.dial()
	s.send(first[:record.HeaderLen+8], second[:record.HeaderLen+8], first[record.HeaderLen+8:stdin], second[record.HeaderLen+8:], first[stdin:])
	if v := s.like(1, p.base.get); v.outcome != Pass {
		return v
	}
	if err := s.untilEnd(2); err != nil {
		return fail("the second request has no END_REQUEST: %v", err)
	}
	switch ps := s.answers[2].end.ProtocolStatus; ps {
	case record.CantMpxConn, record.Overloaded:
		return pass("the second is refused, %v", ps)
	case record.RequestComplete:
		if v := s.like(2, p.base.get); v.outcome != Pass {
			return v
		}
		return pass("both are answered")
	default:
		return fail("the second is refused, %v", ps)
	}
}

// multiplexed is for endpoints that say they multiplex.
func multiplexed(p *probe, check func(*probe) verdict) verdict {
	if !p.base.mpx {
		return notApplicable("%s", p.base.mpxSaid)
	}
	return check(p)
}

func interleaved(p *probe) verdict {
	return multiplexed(p, func(p *probe) verdict {
		ids := []uint16{1, 2, 3, 4}
		var requests [][]byte
		for _, id := range ids {
			requests = append(requests, p.get(id, record.KeepConn))
		}
		// The records of all, by turns.
		var b []byte
		for len(requests[0]) > 0 {
			for i, r := range requests {
				h := record.Header(r)
				n := record.HeaderLen + h.ContentLength() + h.PaddingLength()
				b = append(b, r[:n]...)
				requests[i] = r[n:]
			}
		}
		s := p.dial()
		s.send(b)
		for _, id := range ids {
			if v := s.like(id, p.base.get); v.outcome != Pass {
				return v
			}
		}
		return pass("%d requests by turns", len(ids))
	})
}

// stalled sends a part of one body, and then another request: the first must not stop
// it.
func stalled(p *probe, length, sent int) verdict {
	return multiplexed(p, func(p *probe) verdict {
		s := p.dial()
		s.sendMeanwhile(
			begin(1, record.KeepConn), stream(record.Params, 1, pairs(p.variables("POST", lengthOf(length)))),
			record.AppendStream(nil, record.Stdin, 1, body(sent)),
			p.get(3, record.KeepConn))
		if v := s.like(3, p.base.get); v.outcome != Pass {
			return v
		}
		s.writers.Wait()
		s.send(stream(record.Stdin, 1, body(length-sent)))
		if v := s.valid(1); v.outcome != Pass {
			return v
		}
		return pass("request 3 was answered while the body of request 1 was not complete")
	})
}

func bodyOutstanding(p *probe) verdict { return stalled(p, smallBody, smallBody/2) }

func largeBodyOutstanding(p *probe) verdict { return stalled(p, largeBody, largeBody-1) }
