package conform

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"gatehouse/fastcgi/record"
)

// ask sends GET_VALUES and returns the values of the answer.
func (s *session) ask(names ...string) ([]Param, error) {
	s.send(getValues(names...))
	o, err := s.untilOther()
	if err != nil {
		return nil, fmt.Errorf("no GET_VALUES_RESULT: %w", err)
	}
	if o.typ != record.GetValuesResult || o.id != 0 {
		return nil, fmt.Errorf("received %v, not a GET_VALUES_RESULT with id 0", o)
	}
	var values []Param
	for b := o.content; len(b) > 0; {
		name, value, rest, err := record.NextPair(b)
		if err != nil {
			return nil, fmt.Errorf("GET_VALUES_RESULT: %w", err)
		}
		if len(values) == 2*maxOther {
			return nil, fmt.Errorf("GET_VALUES_RESULT has more than %d pairs", len(values))
		}
		values = append(values, Param{string(name), string(value)})
		b = rest
	}
	return values, nil
}

func getValues(names ...string) []byte {
	var b []byte
	for _, name := range names {
		b = record.AppendPair(b, name, "")
	}
	return record.AppendRecord(nil, record.GetValues, 0, b)
}

// values asks in its own session, and checks that the answer has no other names, and
// that the numbers make sense.
func values(p *probe, names ...string) verdict {
	got, err := p.dial().ask(names...)
	if err != nil {
		return fail("%v", err)
	}
	if len(got) == 0 {
		return pass("an empty GET_VALUES_RESULT")
	}
	var said []string
	for _, v := range got {
		if !slices.Contains(names, v.Name) {
			return fail("%s was not asked for", quote([]byte(v.Name)))
		}
		_, err := strconv.ParseUint(v.Value, 10, 32)
		if err != nil || v.Name == mpxConns && v.Value != "0" && v.Value != "1" {
			return fail("%s is %s", v.Name, quote([]byte(v.Value)))
		}
		said = append(said, v.Name+"="+v.Value)
	}
	return pass("%s", strings.Join(said, " "))
}

func valuesAnswered(p *probe) verdict { return values(p, maxConns, maxReqs, mpxConns) }

func valuesOnlyAsked(p *probe) verdict { return values(p, maxReqs) }

func valuesUnknown(p *probe) verdict {
	const name = "GATEHOUSE_UNKNOWN"
	got, err := p.dial().ask(name)
	switch {
	case err != nil:
		return fail("%v", err)
	case len(got) > 0:
		return fail("the result has %s", quote([]byte(got[0].Name)))
	}
	return pass("an empty GET_VALUES_RESULT")
}

func valuesThenRequest(p *probe) verdict {
	s := p.dial()
	if _, err := s.ask(mpxConns); err != nil {
		return notApplicable("%v", err)
	}
	s.send(p.get(1, 0))
	return s.like(1, p.base.get)
}

// valuesWithin asks in the middle of a request.
func valuesWithin(p *probe) verdict {
	request := p.get(1, 0)
	params := request[:len(request)-2*record.HeaderLen]
	s := p.dial()
	s.send(params)
	if _, err := s.ask(mpxConns); err != nil {
		return fail("%v", err)
	}
	s.send(request[len(params):])
	return s.like(1, p.base.get)
}

const unknownType = 100

// unknownManagement sends a management record of an unknown type.
func unknownManagement(s *session) verdict {
	s.send(record.AppendRecord(nil, unknownType, 0, []byte("who knows")))
	o, err := s.untilOther()
	switch {
	case err != nil:
		return fail("no UNKNOWN_TYPE: %v", err)
	case o.typ != record.UnknownType || o.id != 0:
		return fail("received %v, not an UNKNOWN_TYPE with id 0", o)
	case !bytes.Equal(o.content, []byte{unknownType, 7: 0}):
		return fail("the record contains % x", o.content[:min(len(o.content), 16)])
	}
	return pass("UNKNOWN_TYPE with type %d", unknownType)
}

func unknownTypeAnswered(p *probe) verdict { return unknownManagement(p.dial()) }

func unknownTypeThenRequest(p *probe) verdict {
	s := p.dial()
	if v := unknownManagement(s); v.outcome != Pass {
		return v.without()
	}
	s.send(p.get(1, 0))
	return s.like(1, p.base.get)
}

func unknownApplicationType(p *probe) verdict {
	request := p.get(1, 0)
	begun := record.HeaderLen + 8
	return p.likeGet(request[:begun], record.AppendRecord(nil, 200, 1, body(20)), request[begun:])
}
