package fastcgi

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"gatehouse/cgi"
	"gatehouse/fastcgi/record"
)

// pick draws an active request that f likes; nil if there is none.
func (m *machine) pick(f func(*exchange) bool) *exchange {
	var ids []uint16
	for _, id := range slices.Sorted(maps.Keys(m.active)) {
		if f(m.active[id]) {
			ids = append(ids, id)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	return m.active[rapid.SampledFrom(ids).Draw(m.T, "request")]
}

// freeID draws an id that is not active; 0 if it would have been.
func (m *machine) freeID() uint16 {
	id := rapid.SampledFrom([]uint16{1, 1, 1, 2, 3, 4, 5, 256, 65535}).Draw(m.T, "id")
	if m.active[id] != nil {
		return 0
	}
	return id
}

func (m *machine) beginNew(*rapid.T) {
	if id := m.freeID(); id != 0 && !m.deaf() {
		m.begin(id)
	}
}

// deaf reports that the server reads nothing more, or may have stopped.
func (m *machine) deaf() bool { return m.eof || m.blocked() }

func (m *machine) begin(id uint16) *exchange {
	role := rapid.SampledFrom([]record.Role{1, 1, 1, 1, 1, 1, 1, 2, 2, 3, 3, 3, 0, 4, 65535}).Draw(m.T, "role")
	flags := rapid.SampledFrom([]byte{1, 1, 1, 1, 0, 0xff, 0xfe}).Draw(m.T, "flags")
	name, u := m.apps.add(drawProgram(m.T))
	seed, _ := strconv.Atoi(name)
	x := &exchange{id: id, role: role, keep: flags&record.KeepConn != 0, run: u, program: u.program}
	x.stdin = m.drawStream(record.Stdin, seed)
	x.long = rapid.SampledFrom([]int{1, 127, 128, 1000}).Draw(m.T, "long")
	pair := func(name, value string) { x.params = record.AppendPair(x.params, name, value) }
	pair("RUN", name)
	if x.stdin.length >= 0 {
		pair("CONTENT_LENGTH", strconv.Itoa(x.stdin.length))
	}
	switch role {
	case record.Authorizer:
		x.stdin.length = 0 // whatever is said and sent
	case record.Filter:
		data := m.drawStream(record.Data, seed+1)
		if x.data = &data; data.length >= 0 {
			pair("FCGI_DATA_LENGTH", strconv.Itoa(data.length))
		}
	}
	pair("LONG", strings.Repeat("x", x.long))
	x.pairs = rapid.IntRange(0, 9).Draw(m.T, "bad pairs") != 9
	if !x.pairs {
		x.params = x.params[:len(x.params)-1]
	}
	m.all = append(m.all, x)
	m.send(record.BeginRequest, id, append(record.AppendBegin(nil, id, role, flags)[record.HeaderLen:], "more"[:rapid.IntRange(0, 4).Draw(m.T, "more")]...))
	m.model.begin(x, 1 <= role && role <= 3)
	if m.active[id] == nil {
		x.run = nil
		m.settled()
		return nil
	}
	return x
}

// drawStream draws a stream that is as long as it says, or not.
func (m *machine) drawStream(typ record.Type, seed int) inflow {
	size := rapid.SampledFrom([]int{0, 0, 1, 100, 5000, 20_000, 65535, 100_000}).Draw(m.T, "size")
	f := inflow{typ: typ, length: -1, unsent: pattern(seed, 0, size)}
	if rapid.IntRange(0, 3).Draw(m.T, "with length") > 0 {
		f.length = max(-1, size+rapid.SampledFrom([]int{0, 0, 0, -1, 1}).Draw(m.T, "difference"))
	}
	return f
}

// whole sends a request as a whole.
func (m *machine) whole(*rapid.T) {
	id := m.freeID()
	if id == 0 || m.deaf() {
		return
	}
	x := m.begin(id)
	for x != nil && !x.ready && m.active[id] == x {
		m.paramsOf(x)
	}
	for x != nil && m.active[id] == x && x.open() != nil {
		m.streamOf(x, x.open())
	}
}

func (m *machine) sendParams(*rapid.T) {
	if x := m.pick(func(x *exchange) bool { return !x.ready }); x != nil && !m.deaf() {
		m.paramsOf(x)
	}
}

// paramsOf sends a part of the PARAMS stream, or its end.
func (m *machine) paramsOf(x *exchange) {
	if len(x.params) > 0 {
		n := len(x.params)
		if rapid.IntRange(0, 2).Draw(m.T, "part") == 0 {
			n = rapid.IntRange(1, n).Draw(m.T, "params")
		}
		m.send(record.Params, x.id, x.params[:n])
		x.params = x.params[n:]
		return
	}
	m.send(record.Params, x.id, nil)
	x.ready = true
	if !x.pairs {
		x.run = nil
		x.answerPage(page400)
	}
	m.happens(x)
}

// happens lets the model go on. What a record has ended must come before the next
// is sent, or their order would be left to chance.
func (m *machine) happens(x *exchange) {
	pc := x.pc
	m.settle()
	if x.done || x.pc != pc || m.closed {
		m.settled()
	}
}

func (m *machine) sendStream(*rapid.T) {
	if x := m.pick(func(x *exchange) bool { return x.ready && x.open() != nil }); x != nil && !m.eof {
		m.streamOf(x, x.open())
	}
}

// streamOf sends a part of STDIN or DATA, or its end.
func (m *machine) streamOf(x *exchange, f *inflow) {
	n := min(len(f.unsent), record.MaxContent)
	if n > 0 && rapid.Bool().Draw(m.T, "part") {
		n = rapid.IntRange(1, n).Draw(m.T, "stream")
	}
	m.send(f.typ, x.id, f.unsent[:n])
	x.arrive(f, f.unsent[:n])
	f.unsent = f.unsent[n:]
	f.ended = n == 0
	m.happens(x)
}

func atGate(x *exchange) bool { return x.ready && x.program.ops[x.pc].do == opGate }

// release lets a program go on that waits at its gate.
func (m *machine) release(*rapid.T) {
	x := m.pick(atGate)
	if x == nil {
		return
	}
	m.sync()
	if m.active[x.id] == x && atGate(x) {
		m.letGo(x)
		m.settled()
	}
}

func (m *machine) letGo(x *exchange) {
	x.tokens++
	x.run.gate <- struct{}{}
	m.settle()
}

// readSlowly has a program go on while nothing of the answers is taken.
func (m *machine) readSlowly(*rapid.T) {
	x := m.pick(atGate)
	if x == nil {
		return
	}
	m.sync()
	if m.active[x.id] != x || !atGate(x) {
		return
	}
	m.tell(func() { m.slow = true })
	m.letGo(x)
	if m.bubble {
		time.Sleep(time.Minute)
		synctest.Wait()
	}
	m.tell(func() { m.slow = false })
	m.settled()
}

func (m *machine) sendAbort(*rapid.T) {
	x := m.pick(func(x *exchange) bool {
		// Whether the body's length was known when the program began is chance.
		return !x.aborted && !x.stdin.unsure() && !(x.data != nil && x.data.unsure())
	})
	if x == nil || m.deaf() {
		return
	}
	m.settled()
	m.send(record.AbortRequest, x.id, []byte("content"[:rapid.IntRange(0, 7).Draw(m.T, "content")]))
	m.abort(x)
	m.sync()
}

// manage asks what the connection can do.
func (m *machine) manage(*rapid.T) {
	if m.deaf() {
		return
	}
	if rapid.Bool().Draw(m.T, "unknown") {
		m.unknownType()
	} else {
		names := rapid.SliceOfN(rapid.SampledFrom([]string{mpxConns, maxReqs, "NOBODY_KNOWS"}), 0, 3).Draw(m.T, "names")
		var asked, said []byte
		for i, name := range names {
			asked = record.AppendPair(asked, name, "")
			if value := map[string]string{mpxConns: "1", maxReqs: "40000"}[name]; value != "" && !slices.Contains(names[:i], name) {
				said = record.AppendPair(said, name, value)
			}
		}
		m.send(record.GetValues, 0, asked)
		m.replies = append(m.replies, append([]byte{byte(record.GetValuesResult)}, said...))
		m.mux = true
	}
	m.settled()
}

// stray sends records that mean nothing.
func (m *machine) stray(*rapid.T) {
	if m.deaf() {
		return
	}
	content := []byte("strays"[:rapid.IntRange(0, 6).Draw(m.T, "content")])
	if x := m.pick(func(x *exchange) bool { return true }); x != nil && rapid.Bool().Draw(m.T, "of a request") {
		types := []record.Type{record.EndRequest, record.Stdout, record.Stderr, record.GetValues, record.UnknownType, 12, 42, 255}
		if x.ready {
			types = append(types, record.Params)
		}
		if x.stdin.ended {
			types = append(types, record.Stdin)
		}
		if x.data == nil || x.data.ended {
			types = append(types, record.Data)
		}
		m.send(rapid.SampledFrom(types).Draw(m.T, "type"), x.id, content)
		return
	}
	if id := m.freeID(); id != 0 {
		types := []record.Type{record.AbortRequest, record.Params, record.Stdin, record.Data, record.Stdout, 99, 0}
		m.send(rapid.SampledFrom(types).Draw(m.T, "type"), id, content)
	}
}

// oversize sends more PARAMS than the limit.
func (m *machine) oversize(*rapid.T) {
	x := m.pick(func(x *exchange) bool { return !x.ready })
	if x == nil || m.deaf() || rapid.IntRange(0, 2).Draw(m.T, "oversize") > 0 {
		return
	}
	m.settled()
	m.send(record.Params, x.id, make([]byte, paramsLimit+rapid.IntRange(1, 60_000).Draw(m.T, "beyond")))
	x.run, x.keep = nil, false
	x.answerPage(page431)
	m.happens(x)
}

// breakRules ends the connection by what no peer may send.
func (m *machine) breakRules(*rapid.T) {
	if m.deaf() || rapid.IntRange(0, 4).Draw(m.T, "break") > 0 {
		return
	}
	m.sync()
	if m.closed || m.deaf() {
		return
	}
	begin := "\x00\x01\x01\x00\x00\x00\x00\x00"
	bad := [][]byte{
		raw(0, 1, 1, begin, 0, 0), raw(2, 5, 1, "", 0, 0), []byte("get / http/1.0\r\n\r\n"),
		raw(1, 1, 0, begin, 0, 0), raw(1, 2, 0, "", 0, 0), raw(1, 4, 0, "xy", 3, 0), raw(1, 8, 0, "", 0, 0),
		raw(1, 9, 0, "\x05\x05x", 0, 0), raw(1, 1, 9, begin[:7], 0, 0), raw(1, 1, 9, "", 9, 0),
	}
	if x := m.pick(func(*exchange) bool { return true }); x != nil {
		bad = append(bad, raw(1, 1, x.id, begin, 0, 0))
		if x.data != nil && !x.stdin.ended {
			bad = append(bad, raw(1, 8, x.id, "early", 0, 0), raw(1, 8, x.id, "", 0, 0))
		}
	}
	m.out = append(m.out, rapid.SampledFrom(bad).Draw(m.T, "what")...)
	m.kill()
	m.settled()
}

// leave closes the client's side, or a half of it.
func (m *machine) leave(*rapid.T) {
	if m.eof || rapid.IntRange(0, 3).Draw(m.T, "leave") > 0 {
		return
	}
	m.sync()
	if rapid.Bool().Draw(m.T, "half") && m.mayHalfClose() {
		m.conn.(interface{ CloseWrite() error }).CloseWrite()
		m.halfClose()
		m.settled()
		return
	}
	m.conn.Close()
	m.reading.Wait()
	m.ended(cgi.ErrAborted)
	m.open()
}

// mayHalfClose reports whether what a half-close does is not left to chance: nobody can
// tell when the server sees it, and whether a truncation is visible depends on how
// many requests there are then.
func (m *machine) mayHalfClose() bool {
	ready := 0
	for _, x := range m.active {
		if x.ready {
			ready++
		}
		if x.headSent && len(m.active) > 1 {
			return false
		}
	}
	return ready == 0 || ready == len(m.active)
}

// finish ends the last connection in good order, or has the server end it.
func (m *machine) finish() {
	m.sync()
	if rapid.Bool().Draw(m.T, "forced") {
		closed := make(chan error, 1)
		go func() { closed <- m.srv.Close() }()
		m.reading.Wait()
		m.ended(cgi.ErrShutdown)
		<-closed
		return
	}
	for conn := m.conn; conn == m.conn; {
		x := m.pick(func(*exchange) bool { return true })
		switch {
		case x == nil:
			m.leaveWhole()
			return
		case !x.ready && m.eof:
			m.Fatalf("request %d is active after the end", x.id)
		case !x.ready:
			m.paramsOf(x)
		case atGate(x):
			m.release(nil)
		case x.program.ops[x.pc].do == opCancel && !m.deaf() && !x.aborted:
			m.settled()
			m.send(record.AbortRequest, x.id, nil)
			m.abort(x)
			m.sync()
		case m.eof, x.open() == nil:
			m.leaveWhole()
			return
		default:
			m.streamOf(x, x.open())
		}
	}
}

// leaveWhole closes a connection on which nothing is to come.
func (m *machine) leaveWhole() {
	m.settled()
	m.conn.Close()
	m.reading.Wait()
	m.ended(cgi.ErrAborted)
	m.all = nil
}
