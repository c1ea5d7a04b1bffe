package conform

import (
	"bytes"
	"strconv"
	"strings"

	"gatehouse/fastcgi/record"
)

func lengthOf(n int) Param { return Param{"CONTENT_LENGTH", strconv.Itoa(n)} }

// idsEchoed uses ids other than 1, each on its own connection.
func idsEchoed(p *probe) verdict {
	for _, id := range []uint16{3, 256, 65535} {
		s := p.dial()
		s.send(p.get(id, 0))
		if err := s.untilEnd(id); err != nil {
			for other := range s.responses {
				return fail("the response to request %d has id %d", id, other)
			}
			return fail("request %d has no END_REQUEST: %v", id, err)
		}
		if len(s.responses) > 1 {
			return fail("the response to request %d has records with other ids, too", id)
		}
		s.close()
	}
	return pass("3, 256 and 65535")
}

// idsGrow counts up on one connection, as HAProxy does.
func idsGrow(p *probe) verdict {
	s := p.dial()
	for _, id := range []uint16{1, 3, 5} {
		s.send(p.get(id, record.KeepConn))
		if v := s.like(id, p.base.get); v.outcome != Pass {
			return v
		}
	}
	return pass("1, 3 and 5")
}

func bodyThenClose(p *probe) verdict {
	s := p.dial()
	s.sendMeanwhile(p.post(1, 0, largeBody))
	return s.valid(1)
}

func bodyThenRequest(p *probe) verdict {
	s := p.dial()
	s.sendMeanwhile(p.post(1, record.KeepConn, largeBody))
	if v := s.valid(1); v.outcome != Pass {
		return v
	}
	s.writers.Wait()
	s.send(p.get(2, 0))
	if v := s.like(2, p.base.get); v.outcome != Pass {
		return v
	}
	return pass("%d bytes of body, then another request", largeBody)
}

// bodyFirst reads nothing before the whole body is sent.
func bodyFirst(p *probe) verdict {
	s := p.dial()
	s.send(p.post(1, 0, largeBody))
	return s.valid(1)
}

// manyParams sends more PARAMS than one record of 16 KiB holds, split between pairs,
// as Apache does.
func manyParams(p *probe) verdict {
	b := beginRequest(1, 0)
	var part []byte
	for i, v := range append(fillers(), p.variables("GET")...) {
		part = record.AppendPair(part, v.Name, v.Value)
		if i%20 == 19 {
			b = record.AppendRecord(b, record.Params, 1, part)
			part = part[:0]
		}
	}
	b = append(b, stream(record.Params, 1, part)...)
	return p.likeGet(b, empty(record.Stdin, 1))
}

// fillers returns 24 KiB of variables.
func fillers() []Param {
	v := make([]Param, 24)
	for i := range v {
		v[i] = Param{"HTTP_X_FILLER_" + strconv.Itoa(i), strings.Repeat("f", 1000)}
	}
	return v
}

// oddParam sends a variable that an endpoint may refuse but must survive.
func oddParam(p *probe, v Param) verdict {
	s := p.dial()
	s.send(p.get(1, 0, v))
	return p.survives(s.notSilent(1))
}

func emptyName(p *probe) verdict  { return oddParam(p, Param{"", "value"}) }
func equalsName(p *probe) verdict { return oddParam(p, Param{"A=B", "value"}) }
func nulValue(p *probe) verdict   { return oddParam(p, Param{"HTTP_X_NUL", "a\x00b"}) }

// noLength sends a body without CONTENT_LENGTH, or with a useless one.
func noLength(p *probe, lengths ...Param) verdict {
	v := p.variables("POST", append(lengths, Param{"CONTENT_TYPE", "text/plain"})...)
	s := p.dial()
	s.send(beginRequest(1, 0), stream(record.Params, 1, pairs(v)), stream(record.Stdin, 1, body(smallBody)))
	return p.survives(s.valid(1))
}

func missingLength(p *probe) verdict  { return noLength(p) }
func emptyLength(p *probe) verdict    { return noLength(p, Param{"CONTENT_LENGTH", ""}) }
func zeroLength(p *probe) verdict     { return noLength(p, Param{"CONTENT_LENGTH", "0"}) }
func negativeLength(p *probe) verdict { return noLength(p, Param{"CONTENT_LENGTH", "-1"}) }

// heldConnection keeps a used connection open, and sends a request on another one.
func heldConnection(p *probe) verdict {
	held := p.dial()
	held.send(p.get(1, record.KeepConn))
	if err := held.untilEnd(1); err != nil {
		return fail("no END_REQUEST: %v", err)
	}
	s := p.dial()
	s.send(p.get(1, 0))
	return s.like(1, p.base.get)
}

func headWithoutBody(p *probe) verdict {
	s := p.dial()
	s.send(getWith(1, 0, pairs(p.variables("HEAD"))))
	if v := s.valid(1); v.outcome != Pass {
		return v
	}
	if _, b, _ := s.responses[1].split(); len(b) > 0 {
		return fail("the response to HEAD has a body, %s", quote(bytes.TrimSpace(b)))
	}
	return pass("only a header")
}

func otherNames(p *probe) verdict {
	return p.likeGet(p.get(1, 0, Param{"proxy-nokeepalive", "1"}, Param{"proxy-sendcl", "1"}, Param{"HTTP_PROXY", "http://192.0.2.1/"}))
}
