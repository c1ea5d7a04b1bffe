package conform

import (
	"errors"
	"fmt"

	"gatehouse/fastcgi/record"
)

const noRole record.Role = 99

// inRole returns a GET request for another role.
func (p *probe) inRole(id uint16, role record.Role, flags byte) []byte {
	return append(record.AppendBegin(nil, id, role, flags), p.get(id, flags)[record.HeaderLen+8:]...)
}

// refusedRole passes if the request ends with UNKNOWN_ROLE.
func refusedRole(s *session) verdict {
	if err := s.untilEnd(1); err != nil {
		return fail("no END_REQUEST: %v", err)
	}
	if ps := s.responses[1].end.ProtocolStatus; ps != record.UnknownRole {
		return fail("the request was run: %s", s.responses[1])
	}
	return pass("%v", record.UnknownRole)
}

func unknownRole(p *probe) verdict {
	s := p.dial()
	s.send(p.inRole(1, noRole, 0))
	return refusedRole(s)
}

func unknownRoleThenRequest(p *probe) verdict {
	s := p.dial()
	s.send(p.inRole(1, noRole, record.KeepConn))
	if v := refusedRole(s); v.outcome != Pass {
		return v.without()
	}
	s.forget(1)
	s.send(p.get(1, 0))
	return s.like(1, p.base.get)
}

func unknownRoleCloses(p *probe) verdict {
	s := p.dial()
	s.send(p.inRole(1, noRole, 0))
	if v := refusedRole(s); v.outcome != Pass {
		return v.without()
	}
	if err := s.untilGone(); !errors.Is(err, errGone) {
		return fail("the connection was not closed: %v", err)
	}
	return pass("closed")
}

// offered checks the response in a role that an endpoint need not support.
func offered(s *session) verdict {
	if err := s.untilEnd(1); err != nil {
		return fail("no END_REQUEST: %v", err)
	}
	if s.responses[1].end.ProtocolStatus == record.UnknownRole {
		return notApplicable("the role is not supported: %v", record.UnknownRole)
	}
	return s.valid(1)
}

func authorizer(p *probe) verdict {
	s := p.dial()
	s.send(p.inRole(1, record.Authorizer, 0))
	return offered(s)
}

func filter(p *probe) verdict {
	v := p.variables("GET", Param{"FCGI_DATA_LAST_MOD", "0"}, Param{"FCGI_DATA_LENGTH", fmt.Sprint(smallBody)})
	s := p.dial()
	s.send(record.AppendBegin(nil, 1, record.Filter, 0),
		stream(record.Params, 1, pairs(v)),
		empty(record.Stdin, 1),
		stream(record.Data, 1, body(smallBody)))
	return offered(s)
}
