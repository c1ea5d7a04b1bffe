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
	a := s.answers[1]
	if a.endLen != 8 {
		return fail("its body has %d bytes", a.endLen)
	}
	if a.end.ProtocolStatus > record.UnknownRole {
		return fail("%v", a.end.ProtocolStatus)
	}
	return pass("appStatus %d, %v", a.end.AppStatus, a.end.ProtocolStatus)
}

// endOnce reads on after END_REQUEST.
func endOnce(p *probe) verdict {
	s := p.dial()
	s.send(p.get(1, record.KeepConn))
	if err := s.untilEnd(1); err != nil {
		return fail("no END_REQUEST: %v", err)
	}
	s.quiet()
	if a := s.answers[1]; a.ends > 1 {
		return fail("%d END_REQUEST records", a.ends)
	} else if a.late > 0 {
		return fail("%d records of the request came after it", a.late)
	}
	return pass("nothing follows it")
}

// plainAnswer is the answer to a GET.
func plainAnswer(p *probe) (*answer, error) {
	s := p.dial()
	s.send(p.get(1, 0))
	err := s.untilEnd(1)
	return s.answers[1], err
}

func stdoutClosed(p *probe) verdict {
	a, err := plainAnswer(p)
	switch {
	case err != nil:
		return fail("no END_REQUEST: %v", err)
	case !a.closed:
		return fail("END_REQUEST came without it")
	case a.after:
		return fail("output came after it")
	}
	return pass("an empty STDOUT record, then END_REQUEST")
}

func stderrClosed(p *probe) verdict {
	a, err := plainAnswer(p)
	switch {
	case err != nil:
		return fail("no END_REQUEST: %v", err)
	case !a.errRecord:
		return pass("no STDERR record")
	case !a.errClosed:
		return fail("%d bytes of STDERR without an empty record after them", a.errSize)
	}
	return pass("%d bytes of STDERR, then an empty record", a.errSize)
}

func firstNotEmpty(p *probe) verdict {
	a, err := plainAnswer(p)
	switch {
	case err != nil:
		return fail("no END_REQUEST: %v", err)
	case a.first:
		return fail("the first STDOUT record is empty")
	case a.records == 0:
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
	a, err := plainAnswer(p)
	switch {
	case err != nil:
		return fail("no END_REQUEST: %v", err)
	case a.size <= record.MaxContent:
		return notApplicable("the answer has %d bytes: name a longer one with a variable", a.size)
	}
	return pass("%d bytes in %d records", a.size, a.records)
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

// abortWithin aborts a POST of which half the body was sent.
func abortWithin(p *probe, flags byte) (*session, verdict) {
	s := p.dial()
	s.send(p.postHead(1, flags, "64"), record.AppendRecord(nil, record.Stdin, 1, body(32)))
	s.quiet()
	s.send(empty(record.AbortRequest, 1))
	if err := s.untilEnd(1); err != nil {
		return s, fail("no END_REQUEST: %v", err)
	}
	a := s.answers[1]
	if a.end.ProtocolStatus != record.RequestComplete {
		return s, fail("%v", a.end.ProtocolStatus)
	}
	return s, pass("END_REQUEST, appStatus %d", a.end.AppStatus)
}

func abortAnswered(p *probe) verdict {
	s, v := abortWithin(p, record.KeepConn)
	if v.outcome != Pass {
		return v
	}
	if s.quiet(); s.answers[1].late > 0 {
		return fail("%d records of the request came after END_REQUEST", s.answers[1].late)
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
	s.send(begin(1, 0), empty(record.AbortRequest, 1))
	if err := s.untilEnd(1); err != nil {
		return fail("no END_REQUEST: %v", err)
	}
	return pass("%v", s.answers[1].end.ProtocolStatus)
}

// lostConnection leaves in the middle of a request, twice: while PARAMS are sent, and
// while STDIN is.
func lostConnection(p *probe) verdict {
	s := p.dial()
	s.send(begin(1, 0), record.AppendRecord(nil, record.Params, 1, []byte("\x05")))
	s.close()
	s = p.dial()
	s.send(p.postHead(1, record.KeepConn, "64"), record.AppendRecord(nil, record.Stdin, 1, body(32)))
	s.close()
	return p.survives(pass("the next request is answered"))
}
