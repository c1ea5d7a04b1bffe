package conform

import (
	"errors"
	"fmt"
	"strings"

	"gatehouse/fastcgi/record"
)

func paddingSkipped(p *probe) verdict { return p.likeGet(each(p.get(1, 0), padded)) }

func reservedIgnored(p *probe) verdict { return p.likeGet(each(p.get(1, 0), reserved)) }

func version0(p *probe) verdict { return otherVersion(p, 0) }
func version2(p *probe) verdict { return otherVersion(p, 2) }

// otherVersion sends a request of another version. It must not be run, and the endpoint
// cannot read past it.
func otherVersion(p *probe, version byte) verdict {
	s := p.dial()
	s.send(each(p.get(1, 0), func(dst []byte, h record.Header, content []byte) []byte {
		start := len(dst)
		dst = append(append(dst, h...), content...)
		dst[start], dst[start+6] = version, 0
		return dst
	}))
	err := s.untilGone()
	r := s.responses[1]
	switch {
	case r != nil && r.size > 0:
		return fail("it was run as if it had version 1")
	case !errors.Is(err, errGone):
		return fail("the connection was not closed: %v", err)
	}
	return pass("%v", err)
}

func responseTypes(p *probe) verdict {
	s := p.dial()
	s.send(p.get(1, 0))
	if err := s.untilEnd(1); err != nil {
		return fail("no END_REQUEST: %v", err)
	}
	if len(s.other) > 0 {
		return fail("received %v", s.other[0])
	}
	return pass("STDOUT, STDERR and END_REQUEST only")
}

func otherFlags(p *probe) verdict {
	return p.likeGet(p.get(1, 0xff&^record.KeepConn))
}

func applicationRecordsOnZero(p *probe) verdict {
	s := p.dial()
	s.send(p.get(0, 0))
	err := s.until(func() bool { return len(s.other) > 0 || s.responses[0] != nil })
	switch {
	case err == nil && len(s.other) > 0 && s.other[0].typ == record.UnknownType:
		return p.survives(pass("UNKNOWN_TYPE"))
	case err == nil && len(s.other) > 0:
		return fail("received %v", s.other[0])
	case err == nil:
		return fail("the request was run with id 0")
	case errors.Is(err, errGone):
		return p.survives(pass("%v", err))
	}
	return fail("%v", err)
}

func managementWithID(p *probe) verdict {
	return p.likeGet(
		record.AppendRecord(nil, record.GetValues, 7, pairs([]Param{{mpxConns, ""}})),
		p.get(1, 0))
}

func inactiveIgnored(p *probe) verdict {
	junk := record.AppendRecord(nil, record.Params, 9, pairs([]Param{{"REQUEST_METHOD", "PUT"}}))
	junk = record.AppendRecord(junk, record.Stdin, 9, body(13))
	junk = append(junk, empty(record.Stdin, 9)...)
	request := p.get(1, 0)
	begun := record.HeaderLen + 8
	return p.likeGet(junk, request[:begun], junk, request[begun:])
}

func beginOnActive(p *probe) verdict {
	s := p.dial()
	s.send(beginRequest(1, 0), p.get(1, 0))
	return p.survives(s.notSilent(1))
}

func shortBegin(p *probe) verdict {
	s := p.dial()
	s.send(record.AppendRecord(nil, record.BeginRequest, 1, []byte{0, 1, 0, 0}), p.get(1, 0)[record.HeaderLen+8:])
	return p.survives(s.refused(1, p.base.get))
}

func longBegin(p *probe) verdict {
	s := p.dial()
	s.send(record.AppendRecord(nil, record.BeginRequest, 1, []byte{15: 0, 1: 1}), p.get(1, 0)[record.HeaderLen+8:])
	return p.survives(s.notSilent(1))
}

func paramsByByte(p *probe) verdict {
	return p.likeGet(each(p.get(1, 0), inPieces(record.Params, 1)))
}

func stdinByByte(p *probe) verdict {
	return p.likePost(each(p.post(1, 0, smallBody), inPieces(record.Stdin, 1)))
}

// afterEnd sends more of a closed stream, and then another request. By the time they
// arrive, the id of these records may be inactive.
func afterEnd(p *probe) verdict {
	s := p.dial()
	late := stream(record.Stdin, 1, body(16))
	s.send(p.get(1, record.KeepConn), late)
	if v := s.like(1, p.base.get); v.outcome != Pass {
		return v
	}
	if s.quiet(); s.responses[1].late > 0 {
		return fail("%d records after END_REQUEST", s.responses[1].late)
	}
	s.forget(1)
	s.send(p.get(1, 0))
	if v := s.like(1, p.base.get); v.outcome != Pass {
		return v
	}
	return pass("it had no effect")
}

func fourByteLengths(p *probe) verdict {
	return p.likeGet(getWith(1, 0, longPairs(p.variables("GET"))))
}

func longNamesAndValues(p *probe) verdict {
	name := "HTTP_X_" + strings.Repeat("N", 200)
	return p.likeGet(p.get(1, 0,
		Param{"HTTP_X_LONG", strings.Repeat("v", 300)}, Param{name, "v"}, Param{name + "2", strings.Repeat("v", 128)}))
}

func emptyValue(p *probe) verdict {
	return p.likeGet(p.get(1, 0, Param{"HTTP_X_EMPTY", ""}, Param{"GIT_HTTP_EXPORT_ALL", ""}))
}

func truncatedPair(p *probe) verdict {
	b := pairs(p.variables("GET", Param{"HTTP_X_CUT", "value"}))
	s := p.dial()
	s.send(getWith(1, 0, b[:len(b)-3]))
	return p.survives(s.refused(1, p.base.get))
}

func announcedLength(p *probe) verdict {
	b := append(pairs(p.variables("GET")), 6, 0xff, 0xff, 0xff, 0xff)
	s := p.dial()
	s.send(getWith(1, 0, append(b, "HTTP_Xvalue"...)))
	return p.survives(s.refused(1, p.base.get))
}

func repeatedNames(p *probe) verdict {
	return p.likeGet(p.get(1, 0, Param{"HTTP_X_TWICE", "a"}, Param{"HTTP_X_TWICE", "b"}))
}

// paramsFirst holds back the end of PARAMS.
func paramsFirst(p *probe) verdict {
	request := p.get(1, 0)
	rest := len(request) - 2*record.HeaderLen
	s := p.dial()
	s.send(request[:rest])
	if s.quiet() > 0 {
		return fail("a response started before PARAMS had ended")
	}
	s.send(request[rest:])
	return s.like(1, p.base.get)
}

func shortStdin(p *probe) verdict {
	s := p.dial()
	s.send(p.postHead(1, 0, fmt.Sprint(smallBody)), stream(record.Stdin, 1, body(smallBody/2)))
	return p.survives(s.notSilent(1))
}

func longStdin(p *probe) verdict {
	s := p.dial()
	s.send(p.postHead(1, 0, fmt.Sprint(smallBody)), stream(record.Stdin, 1, body(2*smallBody)))
	return p.survives(s.valid(1))
}
