package conform

import (
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"

	"gatehouse/fastcgi/record"
	"gatehouse/internal/testkit"
)

// A broken is a small endpoint that keeps every rule, but for those that its
// mutation breaks.
type broken struct {
	mutation string
	l        net.Listener
	mu       sync.Mutex
	crashed  bool
	conns    sync.WaitGroup
}

func (b *broken) is(mutations ...string) bool {
	for _, m := range mutations {
		if b.mutation == m {
			return true
		}
	}
	return false
}

// serveBroken serves until the test ends.
func serveBroken(t *testing.T, mutation string) Target {
	t.Helper()
	l := testkit.Listen(t, "unix")
	b := &broken{mutation: mutation, l: l}
	b.conns.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			if b.is("one worker", "crash") {
				b.serve(c)
				c.Close()
				continue
			}
			b.conns.Go(func() {
				defer c.Close()
				b.serve(c)
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		b.conns.Wait()
	})
	return Target{Network: "unix", Address: l.Addr().String(), Timeout: testkit.Patience}
}

// A call is a request under way.
type call struct {
	id         uint16
	keep       bool
	role       record.Role
	params     []byte
	pairs      []Param // of each record, where they are not one stream
	ready      bool
	body, last int
}

func (c *call) value(name string) (string, bool) {
	for _, v := range c.pairs {
		if v.Name == name {
			return v.Value, true
		}
	}
	return "", false
}

// A line is a connection.
type line struct {
	*broken
	net.Conn
	calls   map[uint16]*call
	aborted map[uint16]bool
}

func (b *broken) serve(c net.Conn) {
	b.mu.Lock()
	crashed := b.crashed
	b.crashed = false
	b.mu.Unlock()
	if crashed {
		return
	}
	ln := &line{b, c, make(map[uint16]*call), make(map[uint16]bool)}
	for {
		h := make(record.Header, record.HeaderLen)
		if _, err := io.ReadFull(c, h); err != nil {
			for _, c := range ln.calls {
				b.mu.Lock()
				b.crashed = b.is("crash") && c.ready
				b.mu.Unlock()
			}
			return
		}
		content := make([]byte, h.ContentLength())
		padding := h.PaddingLength()
		if b.is("padding") {
			padding = min(padding, 7)
		}
		if h.Version() != record.Version1 && !b.is("version") || h[7] != 0 && b.is("reserved") {
			return
		}
		if _, err := io.ReadFull(c, content); err != nil {
			return
		}
		if _, err := io.CopyN(io.Discard, c, int64(padding)); err != nil {
			return
		}
		if !ln.take(h.Type(), h.ID(), content) {
			return
		}
	}
}

// deaf reads and never responds.
func (ln *line) deaf() bool {
	io.Copy(io.Discard, ln)
	return false
}

// take handles a record, and reports whether to keep the connection.
func (ln *line) take(t record.Type, id uint16, content []byte) bool {
	if id == 0 {
		return ln.management(t, content)
	}
	c := ln.calls[id]
	switch {
	case t == record.BeginRequest:
		return ln.beginCall(id, c, content)
	case c == nil:
		if ln.is("late") && t == record.Stdin && len(content) > 0 {
			ln.Write(record.AppendEndRequest(nil, id, 0, 0))
		}
		return !ln.is("inactive") && !(ln.is("abort unknown") && t == record.AbortRequest) &&
			!(ln.is("management id") && t == record.GetValues)
	case t == record.AbortRequest:
		return ln.abort(c)
	case t == record.Params && !c.ready:
		return ln.takeParams(c, content)
	case t == record.Stdin && len(content) > 0:
		c.body, c.last = c.body+len(content), len(content)
		return true
	case t == record.Stdin:
		return ln.respond(c)
	}
	return !ln.is("unknown application")
}

func (ln *line) beginCall(id uint16, c *call, content []byte) bool {
	partly := false
	for _, other := range ln.calls {
		partly = partly || other.body > 0
	}
	switch {
	case c != nil && ln.is("begin twice"), len(content) > 8 && ln.is("long begin"), ln.is("stall") && partly:
		return ln.deaf()
	case c != nil, len(content) < 8 && !ln.is("short begin"):
		return false
	case id > 1000 && ln.is("small ids"):
		return false
	case ln.aborted[id] && ln.is("abort id"):
		return true
	case len(ln.calls) > 0 && ln.is("second ignored"):
		return true
	case len(ln.calls) > 0 && ln.is("no multiplexing", "multiplexing claimed"):
		ln.Write(record.AppendEndRequest(nil, id, 0, record.CantMpxConn))
		return true
	}
	begin, err := record.ParseBegin(content)
	if err != nil {
		begin.Role = record.Responder
	}
	c = &call{id: id, keep: begin.Flags&record.KeepConn != 0, role: begin.Role}
	if begin.Flags > record.KeepConn && ln.is("flags") {
		return false
	}
	if c.role != record.Responder && !ln.is("any role") && !(c.role <= record.Filter && ln.is("empty roles")) {
		ln.Write(record.AppendEndRequest(nil, id, 0, record.UnknownRole))
		return (c.keep || ln.is("role open")) && !ln.is("role close")
	}
	ln.calls[id] = c
	return true
}

func (ln *line) abort(c *call) bool {
	if ln.is("abort silent") || !c.ready && ln.is("abort early") {
		return true
	}
	delete(ln.calls, c.id)
	ln.aborted[c.id] = true
	b := record.AppendEndRequest(nil, c.id, 0, 0)
	if ln.is("abort twice") {
		b = append(b, b...)
	}
	ln.Write(b)
	return c.keep
}

func (ln *line) takeParams(c *call, content []byte) bool {
	if ln.is("early") && len(c.params) == 0 && len(content) > 0 {
		ln.Write(record.AppendRecord(nil, record.Stdout, c.id, []byte("X-Early: yes\r\n")))
	}
	c.params = append(c.params, content...)
	if ln.is("params by record") {
		ln.parse(c, content)
	}
	if len(content) > 0 {
		return true
	}
	c.ready = true
	if ln.is("params by record") {
		return true
	}
	return ln.parse(c, c.params)
}

func (ln *line) parse(c *call, b []byte) bool {
	for len(b) > 0 {
		if ln.is("four bytes") && b[0] >= 128 && b[1]|b[2] == 0 && b[3] < 128 {
			return false
		}
		name, value, rest, err := record.NextPair(b)
		if err != nil {
			return ln.is("cut pairs")
		}
		b = rest
		n, v := string(name), string(value)
		_, again := c.value(n)
		switch {
		case ln.is("long names") && len(n) > 127, ln.is("duplicates") && again && strings.HasPrefix(n, "HTTP_"),
			ln.is("empty values") && v == "" && strings.HasPrefix(n, "HTTP_"),
			ln.is("other names") && n == strings.ToLower(n) && n != "":
			return false
		case ln.is("empty name") && n == "", ln.is("equals") && strings.Contains(n, "="),
			ln.is("nul") && strings.Contains(v, "\x00"):
			return ln.deaf()
		}
		c.pairs = append(c.pairs, Param{n, v})
	}
	return true
}

// respond sends the response to a request.
func (ln *line) respond(c *call) bool {
	length, given := c.value("CONTENT_LENGTH")
	method, _ := c.value("REQUEST_METHOD")
	n, err := strconv.Atoi(length)
	switch {
	case ln.is("short stdin") && err == nil && c.body < n, ln.is("long stdin") && err == nil && n >= 0 && c.body > n,
		ln.is("missing length") && !given && c.body > 0, ln.is("empty length") && given && length == "",
		ln.is("negative length") && n < 0, ln.is("large bodies") && c.body >= largeBody:
		return ln.deaf()
	}
	status := 200
	body := c.body
	if ln.is("stdin by record") {
		body = c.last
	}
	if _, ok := c.value("REQUEST_URI"); !ok || len(c.params) > 16<<10 && ln.is("small params") {
		status = 404
	} else if body < n {
		status = 400
	}
	out := fmt.Sprintf("Status: %d\r\nContent-Type: text/plain\r\n\r\n", status)
	if ln.is("nph") {
		out = "HTTP/1.1 " + out
	}
	if method != "HEAD" || ln.is("head") {
		out += "hello world\n"
	}
	if ln.is("long response") && method != "HEAD" {
		out += strings.Repeat("x", 100<<10)
	}
	if ln.is("empty roles") && c.role != record.Responder {
		out = ""
	}
	delete(ln.calls, c.id)
	ln.Write(ln.response(c.id, out))
	return c.keep && !ln.is("never keeps") || ln.is("never closes")
}

func (ln *line) response(id uint16, out string) (b []byte) {
	if ln.is("always 1") {
		id = 1
	}
	if ln.is("other types") {
		b = record.AppendRecord(b, 200, id, nil)
	}
	if ln.is("stderr open", "stderr") {
		b = record.AppendRecord(b, record.Stderr, id, []byte("oh"))
	}
	if ln.is("stderr") {
		b = record.AppendRecord(b, record.Stderr, id, nil)
	}
	if ln.is("empty first") {
		b = record.AppendRecord(b, record.Stdout, id, nil)
	}
	b = record.AppendStream(b, record.Stdout, id, []byte(out))
	if !ln.is("stdout open") {
		b = record.AppendRecord(b, record.Stdout, id, nil)
	}
	switch end := record.AppendEndRequest(nil, id, 0, 0); {
	case ln.is("no end"):
	case ln.is("short end"):
		b = record.AppendRecord(b, record.EndRequest, id, []byte{0, 0, 0, 0})
	case ln.is("end twice"):
		b = append(append(b, end...), end...)
	default:
		b = append(b, end...)
	}
	return b
}

func (ln *line) management(t record.Type, content []byte) bool {
	if t != record.GetValues {
		if t < record.GetValues {
			if ln.is("zero") {
				return ln.beginCall(0, nil, content) && ln.respond(ln.calls[0])
			}
			return false
		}
		if ln.is("unknown silent") {
			return true
		}
		b := record.AppendUnknownType(nil, t)
		if ln.is("unknown body") {
			b[len(b)-1] = 1
		}
		ln.Write(b)
		return !ln.is("unknown close")
	}
	if ln.is("values silent") {
		return true
	}
	if len(ln.calls) > 0 && ln.is("values within") {
		return false
	}
	mpx := "1"
	if ln.is("no multiplexing") {
		mpx = "0"
	}
	var asked, reply []byte
	asked = content
	if ln.is("values all") {
		asked = pairs([]Param{{maxConns, ""}, {maxReqs, ""}, {mpxConns, ""}})
	}
	for len(asked) > 0 {
		name, _, rest, err := record.NextPair(asked)
		if err != nil {
			return false
		}
		asked = rest
		switch string(name) {
		case mpxConns:
			reply = record.AppendPair(reply, mpxConns, mpx)
		case maxConns, maxReqs:
			reply = record.AppendPair(reply, string(name), "100")
		}
	}
	ln.Write(record.AppendRecord(nil, record.GetValuesResult, 0, reply))
	return !ln.is("values close")
}
