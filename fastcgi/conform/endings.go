package conform

import (
	"errors"

	"gatehouse/fastcgi/record"
)

func endRequest(p *probe) verdict {
	if p.base.err != nil {
		return fail("%v", p.base.err)
	}
	s := p.dial()
	s.send(p.get(1, 0))
	if err := s.untilEnd(1); err != nil {
		return fail("%v", err)
	}
	r := s.responses[1]
	if r.endLen != 8 {
		return fail("its body has %d bytes", r.endLen)
	}
	if r.end.ProtocolStatus > record.UnknownRole {
		return fail("%v", r.end.ProtocolStatus)
	}
	return pass("appStatus %d, %v", r.end.AppStatus, r.end.ProtocolStatus)
}

// endOnce reads on after END_REQUEST.
func endOnce(p *probe) verdict {
	s := p.dial()
	s.send(p.get(1, record.KeepConn))
	if err := s.untilEnd(1); err != nil {
		return fail("no END_REQUEST: %v", err)
	}
	s.quiet()
	if r := s.responses[1]; r.ends > 1 {
		return fail("%d END_REQUEST records", r.ends)
	} else if r.late > 0 {
		return fail("%d records of the request came after it", r.late)
	}
	return pass("nothing follows it")
}

// plainResponse returns the response to a GET.
func plainResponse(p *probe) (*response, error) {
	s := p.dial()
	s.send(p.get(1, 0))
	err := s.untilEnd(1)
	return s.responses[1], err
}

func stdoutClosed(p *probe) verdict {
	r, err := plainResponse(p)
	switch {
	case err != nil:
		return fail("no END_REQUEST: %v", err)
	case !r.closed:
		return fail("END_REQUEST came without it")
	case r.after:
		return fail("output came after it")
	}
	return pass("an empty STDOUT record, then END_REQUEST")
}

func stderrClosed(p *probe) verdict {
	r, err := plainResponse(p)
	switch {
	case err != nil:
		return fail("no END_REQUEST: %v", err)
	case !r.errRecord:
		return pass("no STDERR record")
	case !r.errClosed:
		return fail("%d bytes of STDERR without an empty record after them", r.errSize)
	}
	return pass("%d bytes of STDERR, then an empty record", r.errSize)
}

func firstNotEmpty(p *probe) verdict {
	r, err := plainResponse(p)
	switch {
	case err != nil:
		return fail("no END_REQUEST: %v", err)
	case r.first:
		return fail("the first STDOUT record is empty")
	case r.records == 0:
		return fail("END_REQUEST came without output")
	}
	return pass("output first")
}

func cgiResponse(p *probe) verdict {
	s := p.dial()
	s.send(p.get(1, 0))
	return s.valid(1)
}

func bigRecords(p *probe) verdict {
	r, err := plainResponse(p)
	switch {
	case err != nil:
		return fail("no END_REQUEST: %v", err)
	case r.size <= record.MaxContent:
		return notApplicable("the response has %d bytes: select a longer one with --param", r.size)
	}
	return pass("%d bytes in %d records", r.size, r.records)
}

func closesAfterEnd(p *probe) verdict {
	s := p.dial()
	s.send(p.get(1, 0))
	if err := s.untilEnd(1); err != nil {
		return fail("no END_REQUEST: %v", err)
	}
	if err := s.untilGone(); !errors.Is(err, errGone) {
		return fail("the connection was not closed: %v", err)
	}
	return pass("closed")
}

func keepsOpen(p *probe) verdict {
	s := p.dial()
	for range 3 {
		s.forget(1)
		s.send(p.get(1, record.KeepConn))
		if v := s.like(1, p.base.get); v.outcome != Pass {
			return v
		}
	}
	return pass("three requests on one connection")
}

// abortWithin aborts a POST after half of its body.
func abortWithin(p *probe, flags byte) (*session, verdict) {
	s := p.dial()
	s.send(p.postHead(1, flags, "64"), record.AppendRecord(nil, record.Stdin, 1, body(32)))
	s.quiet()
	s.send(empty(record.AbortRequest, 1))
	if err := s.untilEnd(1); err != nil {
		return s, fail("no END_REQUEST: %v", err)
	}
	r := s.responses[1]
	if r.end.ProtocolStatus != record.RequestComplete {
		return s, fail("%v", r.end.ProtocolStatus)
	}
	return s, pass("END_REQUEST, appStatus %d", r.end.AppStatus)
}

func abortAnswered(p *probe) verdict {
	s, v := abortWithin(p, record.KeepConn)
	if v.outcome != Pass {
		return v
	}
	if s.quiet(); s.responses[1].late > 0 {
		return fail("%d records of the request came after END_REQUEST", s.responses[1].late)
	}
	return v
}

func abortThenRequest(p *probe) verdict {
	s, v := abortWithin(p, record.KeepConn)
	if v.outcome != Pass {
		return v.without()
	}
	s.forget(1)
	s.send(p.get(1, 0))
	return s.like(1, p.base.get)
}

func abortUnknown(p *probe) verdict {
	return p.likeGet(empty(record.AbortRequest, 5), p.get(1, 0))
}

func abortBeforeParams(p *probe) verdict {
	s := p.dial()
	s.send(beginRequest(1, 0), empty(record.AbortRequest, 1))
	if err := s.untilEnd(1); err != nil {
		return fail("no END_REQUEST: %v", err)
	}
	return pass("%v", s.responses[1].end.ProtocolStatus)
}

// lostConnection disconnects in the middle of a request, twice: while sending PARAMS,
// and while sending STDIN.
func lostConnection(p *probe) verdict {
	s := p.dial()
	s.send(beginRequest(1, 0), record.AppendRecord(nil, record.Params, 1, []byte("\x05")))
	s.close()
	s = p.dial()
	s.send(p.postHead(1, record.KeepConn, "64"), record.AppendRecord(nil, record.Stdin, 1, body(32)))
	s.close()
	return p.survives(pass("the next request is served"))
}
