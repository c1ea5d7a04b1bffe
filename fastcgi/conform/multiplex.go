package conform

import (
	"gatehouse/fastcgi/record"
)

// secondBegin starts a second request before sending the STDIN of the first.
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
	switch ps := s.responses[2].end.ProtocolStatus; ps {
	case record.CantMpxConn, record.Overloaded:
		return pass("the second is refused, %v", ps)
	case record.RequestComplete:
		if v := s.like(2, p.base.get); v.outcome != Pass {
			return v
		}
		return pass("both are served")
	default:
		return fail("the second is refused, %v", ps)
	}
}

// multiplexed runs check if the endpoint claims to multiplex.
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
		// One record of each in turn.
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
		return pass("%d interleaved requests", len(ids))
	})
}

// stalled sends part of a body, and then another request, which the first must not
// block.
func stalled(p *probe, length, sent int) verdict {
	return multiplexed(p, func(p *probe) verdict {
		s := p.dial()
		s.sendMeanwhile(
			beginRequest(1, record.KeepConn), stream(record.Params, 1, pairs(p.variables("POST", lengthOf(length)))),
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
		return pass("request 3 was served while the body of request 1 was incomplete")
	})
}

func bodyOutstanding(p *probe) verdict { return stalled(p, smallBody, smallBody/2) }

func largeBodyOutstanding(p *probe) verdict { return stalled(p, largeBody, largeBody-1) }
