package fastcgi

import (
	"bytes"
	"fmt"
	"strings"

	"gatehouse/fastcgi/record"
)

// A model says what must come of a connection.
type model struct {
	unix     bool // the server sees a peer that leaves behind bytes, and one that only sends no more
	limit    int  // Requests
	active   map[uint16]*exchange
	ending   map[uint16]*exchange // END_REQUEST is to come
	lost     map[uint16]*exchange // cut off with the connection
	refused  []refusal            // END_REQUEST is to come, of requests that never were
	replies  [][]byte             // of management records, in order
	mux      bool
	closing  bool
	eof      bool
	closed   bool // the server closes
	poisoned bool // with a record of version 0
}

type refusal struct {
	id     uint16
	status record.ProtocolStatus
}

// begin is a BEGIN_REQUEST for an id that is free.
func (m *model) begin(x *exchange, known bool) {
	switch {
	case !known:
		m.closing = m.closing || !x.keep
		m.refused = append(m.refused, refusal{x.id, record.UnknownRole})
	case len(m.active) >= m.limit:
		m.refused = append(m.refused, refusal{x.id, record.CantMpxConn})
	default:
		m.active[x.id] = x
		m.mux = m.mux || x.id != 1 || len(m.active) > 1
	}
	m.settle()
}

// settle takes requests that are done off the connection, and closes one that is
// of no more use.
func (m *model) settle() {
	for id, x := range m.active {
		if x.ready && !x.done {
			x.advance()
		}
		if !x.done {
			continue
		}
		if x.broken && !x.aborted && len(m.active) == 1 {
			m.poisoned, m.closed = true, true
		}
		delete(m.active, id)
		m.ending[id] = x
		m.closing = m.closing || !x.keep
	}
	if len(m.active) == 0 && (m.closing || m.eof) {
		m.closed = true
	}
}

// halfClose is the end of what the client sends.
func (m *model) halfClose() {
	m.eof = true
	if !m.unix && len(m.active) > 0 {
		m.kill() // a peer that has gone
		return
	}
	for id, x := range m.active {
		if !x.ready {
			delete(m.active, id)
		}
		x.cut = true
	}
	m.settle()
}

// kill ends the connection in the middle of its requests.
func (m *model) kill() {
	m.closed, m.lost, m.active = true, m.active, make(map[uint16]*exchange)
}

// abort is ABORT_REQUEST for an active request.
func (m *model) abort(x *exchange) {
	x.aborted = true
	if !x.ready {
		x.done, x.part, x.run = true, true, nil
	}
	m.settle()
}

// blocked reports whether the server may have stopped reading because of a body
// that nobody reads: it does where no other request has to wait.
func (m *model) blocked() bool {
	if !m.unix || m.mux || len(m.active) != 1 {
		return false
	}
	for _, x := range m.active {
		return x.ready && x.unread() >= bodyHeld-(16<<10)
	}
	return false
}

// take checks a record that came.
func (m *model) take(e event) error {
	x := m.ending[e.id]
	if x == nil {
		x = m.active[e.id]
	}
	if x == nil {
		x = m.lost[e.id]
	}
	switch e.typ {
	case record.Stdout:
		if x == nil {
			return fmt.Errorf("STDOUT for request %d, which is not active", e.id)
		}
		return x.takeStdout(e.content)
	case record.EndRequest:
		return m.takeEnd(e)
	case record.GetValuesResult, record.UnknownType:
		reply := append([]byte{byte(e.typ)}, e.content...)
		if len(m.replies) == 0 || !bytes.Equal(reply, m.replies[0]) {
			return fmt.Errorf("%v record %q, want the first of %q", e.typ, e.content, m.replies)
		}
		m.replies = m.replies[1:]
		return nil
	}
	return fmt.Errorf("%v record for request %d", e.typ, e.id)
}

func (m *model) takeEnd(e event) error {
	end, err := record.ParseEnd(e.content)
	if err != nil {
		return err
	}
	for i, r := range m.refused {
		if r.id == e.id {
			if end.ProtocolStatus != r.status || end.AppStatus != 0 {
				return fmt.Errorf("request %d: refused with %+v, want %v", e.id, end, r.status)
			}
			m.refused = append(m.refused[:i:i], m.refused[i+1:]...)
			return nil
		}
	}
	x := m.ending[e.id]
	if x == nil {
		return fmt.Errorf("END_REQUEST for request %d, %+v, which has not ended", e.id, end)
	}
	delete(m.ending, e.id)
	if m.poisoned && x.broken {
		return fmt.Errorf("request %d: END_REQUEST after a truncation that nobody else forbids to show", e.id)
	}
	if end.ProtocolStatus != record.RequestComplete || end.AppStatus != x.status {
		return fmt.Errorf("request %d: ended with %+v, want status %d", e.id, end, x.status)
	}
	return x.checkStdout()
}

// missing says what has not come yet, or nothing. The board of the runs is locked.
func (m *model) missing() string {
	var s []string
	for id, x := range m.ending {
		if !m.poisoned || !x.broken {
			s = append(s, fmt.Sprintf("the end of request %d", id))
		}
	}
	for _, r := range m.refused {
		s = append(s, fmt.Sprintf("the refusal of request %d", r.id))
	}
	for _, r := range m.replies {
		s = append(s, fmt.Sprintf("the reply %q", r))
	}
	for id, x := range m.active {
		if x.ready && x.run.pc != x.pc {
			s = append(s, fmt.Sprintf("step %d of request %d, which is at %d of %v", x.pc, id, x.run.pc, x.program.ops))
		}
		if len(x.got) < x.flushed && !x.aborted {
			s = append(s, fmt.Sprintf("%d bytes of request %d", x.flushed-len(x.got), id))
		}
	}
	return strings.Join(s, ", ")
}
