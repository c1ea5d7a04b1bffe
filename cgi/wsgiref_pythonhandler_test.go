//go:build linux

package cgi_test

import (
	"encoding/json"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"gatehouse/cgi"
	"gatehouse/cgi/cgitest"
	"gatehouse/internal/testkit"
)

// handlerAnswer is what is compared of a run of a handler.
type handlerAnswer struct {
	Out        string // as the front-end would send it
	End        string
	Failed     bool // something is logged
	ClosedOnce bool // every body, and before the end of the answer
}

// pythonRun is the script's answer.
type pythonRun struct {
	Out        string
	Head       int         // length of the head in Out
	Status     string      // of the head that was sent
	Fields     [][2]string // likewise
	OwnLength  bool        `json:"own_length"` // a Content-Length is the application's
	Logged     bool        // an exception is logged
	BrokeOff   bool        `json:"broke_off"`   // after the head
	AtClose    *int        `json:"at_close"`    // length of Out when the body was closed, if the handler came to that
	GaveUp     bool        `json:"gave_up"`     // the application found that its head was refused
	ClosedOnce bool        `json:"closed_once"` // every body
}

// A handlerRun is a question about a handler.
type handlerRun struct {
	app      *told
	method   string
	protocol string // empty for none
	origin   bool
	software string
	version  string
	now      time.Time
}

func makeHandlerRun(m *maker) (pythonQuestion, any) {
	q := &handlerRun{
		app:      m.told(),
		method:   oneOf(m, "GET", "GET", "GET", "POST", "HEAD"),
		protocol: oneOf(m, "HTTP/1.0", "HTTP/1.1", "HTTP/1.1", "HTTP/0.9", "http/0.9", ""),
		origin:   m.IntN(3) == 0,
		software: oneOf(m, "", "FooBar/1.0"),
		version:  oneOf(m, "1.0", "1.1"),
		now:      time.Unix(m.Int64N(1<<37), 0),
	}
	if q.origin && q.app.body.closeFails {
		// wsgiref's handler forgets its variables there, and fails once more.
		q.app.body.closeFails = false
	}
	env := map[string]string{"REQUEST_METHOD": q.method, "SERVER_PROTOCOL": q.protocol}
	if q.protocol == "" {
		delete(env, "SERVER_PROTOCOL")
		if q.origin {
			m.differs[differsProtocol]++
			env["SERVER_PROTOCOL"] = "HTTP/1.0"
		}
	}
	ask := pythonQuestion{"origin": q.origin, "software": q.software, "version": q.version, "now": q.now.Unix(), "env": env}
	for name, value := range m.forPython(q.app) {
		ask[name] = value
	}
	return ask, judged{q.run(m), func(answer []byte) any { return q.expect(m, answer) }}
}

// An endSink looks at the bodies when the answer ends.
type endSink struct {
	cgitest.Recorder
	performance *performance
	closedOnce  bool
}

func (s *endSink) Finish(o cgi.Outcome) error {
	s.closedOnce = s.performance.closed == s.performance.made
	return s.Recorder.Finish(o)
}

// run is our answer.
func (q *handlerRun) run(m *maker) handlerAnswer {
	h := &cgi.Handler{Log: slog.New(slog.DiscardHandler), OriginServer: q.origin, ServerSoftware: q.software, HTTPVersion: q.version,
		Now: func() time.Time { return q.now }}
	env := cgi.NewEnviron("REQUEST_METHOD=" + q.method)
	if q.protocol != "" {
		env.Set("SERVER_PROTOCOL", q.protocol)
	}
	p := &performance{told: q.app}
	sink := &endSink{performance: p}
	res := h.Run(&cgi.Request{Env: env}, sink, cgi.WSGI(p.app))
	if p.closed != p.made {
		m.t.Errorf("%d bodies were closed %d times", p.made, p.closed)
	}
	return handlerAnswer{testkit.Latin1(sink.String()), res.End.String(), res.Err != nil, sink.closedOnce}
}

// expect is the answer that ours gives where wsgiref gives that one.
func (q *handlerRun) expect(m *maker, answer []byte) any {
	var py pythonRun
	if err := json.Unmarshal(answer, &py); err != nil || py.Fields == nil {
		return json.RawMessage(answer) // an error
	}
	if py.GaveUp {
		m.differs[differsRefused]++
	}
	want := handlerAnswer{Out: py.Out, End: cgi.Complete.String(), Failed: py.Logged, ClosedOnce: py.ClosedOnce}
	// Out and Head count the same, as a character is a byte to wsgiref.
	out := []rune(py.Out)
	closingFailed := py.AtClose != nil && *py.AtClose < len(out)
	if closingFailed {
		out = out[:*py.AtClose]
	}
	head, body := string(out[:py.Head]), out[py.Head:]
	code, _ := strconv.Atoi(py.Status[:3])
	bodyless := q.method == "HEAD" || code == 204 || code == 304

	if declared := declaredIn(py.Fields); declared >= 0 && !bodyless && len(body) != declared {
		want.Failed = true
		if len(body) > declared {
			m.differs[differsLong]++
			want.Out = head + string(body[:declared])
			return want
		}
		if !py.BrokeOff {
			m.differs[differsShort]++
		}
		want.End = cgi.Truncated.String()
	}
	if py.BrokeOff || closingFailed {
		if closingFailed {
			m.differs[differsClosing]++
		}
		if !q.sent(len(body), bodyless) {
			m.differs[differsHeld]++
			want.Out, want.End = q.errorPage(), cgi.Complete.String()
			return want
		}
		want.End = cgi.Truncated.String()
	}
	if bodyless && len(body) > 0 {
		if q.method == "HEAD" {
			m.differs[differsHead]++
		}
		body = nil
	}
	const none = "Content-Length: 0\r\n\r\n"
	switch {
	case code == 204 || code == 304:
		m.differs[differsBodyless]++
		head = withoutLength(head)
	case q.method == "HEAD" && !py.OwnLength && strings.HasSuffix(head, none):
		m.differs[differsHead]++
		head = strings.TrimSuffix(head, none) + "\r\n"
	}
	want.Out = head + string(body)
	return want
}

// sent reports whether ours has sent the head by the time that wsgiref, which sends
// every block at once, has sent a body of that length.
func (q *handlerRun) sent(body int, bodyless bool) bool {
	single := q.app.body.kind == "list" && q.app.body.count == 1
	for _, s := range q.app.call {
		single = single && (s.what != "write" || s.data == "")
	}
	if single {
		return !bodyless && body > 16<<10
	}
	return body > 0
}

// errorPage is the answer to a request that failed before anything was sent.
func (q *handlerRun) errorPage() string {
	head := "Status: 500 Internal Server Error\r\n"
	if q.origin {
		head = "HTTP/" + q.version + " 500 Internal Server Error\r\nDate: " + q.now.UTC().Format("Mon, 02 Jan 2006 15:04:05 GMT") + "\r\n"
		if q.software != "" {
			head += "Server: " + q.software + "\r\n"
		}
	}
	head += "Content-Type: text/plain\r\nContent-Length: 59\r\n\r\n"
	if q.origin && strings.EqualFold(q.protocol, "HTTP/0.9") {
		head = ""
	}
	if q.method == "HEAD" {
		return head
	}
	return head + "A server error occurred.  Please contact the administrator."
}

func declaredIn(fields [][2]string) int {
	for _, f := range fields {
		if strings.EqualFold(f[0], "Content-Length") {
			if n, err := strconv.Atoi(f[1]); err == nil {
				return n
			}
		}
	}
	return -1
}

func withoutLength(head string) string {
	var b strings.Builder
	for line := range strings.Lines(head) {
		if !strings.HasPrefix(strings.ToLower(line), "content-length:") {
			b.WriteString(line)
		}
	}
	return b.String()
}

// told makes an application.
func (m *maker) told() *told {
	a := new(told)
	if m.IntN(12) > 0 {
		a.call = append(a.call, m.start(false))
	}
	for m.IntN(3) == 0 {
		switch m.IntN(8) {
		case 0:
			a.call = append(a.call, m.start(false))
		case 1, 2:
			a.call = append(a.call, m.start(true))
		case 3:
			a.call = append(a.call, step{what: oneOf(m, "fail", "panic")})
		case 4:
			a.call = append(a.call, step{what: "change"})
		default:
			a.call = append(a.call, step{what: "write", data: m.block()})
		}
	}
	b := &a.body
	b.kind = oneOf(m, "list", "list", "list", "iterator", "generator", "file")
	b.closeFails = m.IntN(15) == 0
	if b.kind == "file" {
		b.data, b.block = m.block()+m.block(), 1+m.IntN(9)
		return a
	}
	for range oneOf(m, 0, 1, 1, 1, 2, 3) {
		b.count++
		b.steps = append(b.steps, step{what: "yield", data: m.block()})
	}
	if m.IntN(20) == 0 {
		b.count = m.IntN(3) // which is not true
	}
	for m.IntN(6) == 0 {
		s := step{what: oneOf(m, "fail", "panic")}
		if b.kind != "list" && m.IntN(2) == 0 {
			s = m.start(m.IntN(2) == 0)
			if m.IntN(3) == 0 {
				s = step{what: "write", data: m.block()}
			}
		}
		i := m.IntN(len(b.steps) + 1)
		b.steps = append(b.steps[:i:i], append([]step{s}, b.steps[i:]...)...)
	}
	return a
}

// block makes a block of a body.
func (m *maker) block() string {
	if m.IntN(60) == 0 {
		return strings.Repeat("long ", 4000)
	}
	return m.text(2, "", "data", "\x00\xff\r\n", "x")
}

// start makes a call of start_response, mostly a good one.
func (m *maker) start(cause bool) step {
	s := step{what: "start", cause: cause, caught: m.IntN(4) == 0}
	s.status = oneOf(m, "200 OK", "200 OK", "200 OK", "404 Not Found", "200 ", "599 \xe4", "204 No Content", "304 Not Modified")
	if m.IntN(12) == 0 {
		s.status = oneOf(m, "200", "20X OK", "200OK", "", "2", "200 OK\r\nX: y", "200 \x7f", "200\tOK", "100 Continue", "199 x", "099 z",
			"2\xb20 x", "\xb9\xb2\xb3 x")
	}
	for range m.IntN(3) {
		f := cgi.Field{Name: oneOf(m, "Content-Type", "A", "a", "X-Y", "Date", "server", "Set-Cookie"), Value: oneOf(m, "", "v", "text/plain", "\xe4 v")}
		switch m.IntN(16) {
		case 0:
			f = cgi.Field{Name: m.fieldName(), Value: m.fieldValue()}
		case 1:
			f.Name = oneOf(m, "Connection", "keep-alive", "TE", "Transfer-Encoding", "Trailer", "trailers", "Proxy-Connection")
		}
		s.fields = append(s.fields, f)
	}
	for m.IntN(4) == 0 {
		f := cgi.Field{Name: oneOf(m, "Content-Length", "content-length"), Value: strconv.Itoa(oneOf(m, 0, 1, 4, 4, 8, 12345, 20000))}
		if m.IntN(12) == 0 {
			f.Value = oneOf(m, "", "-1", "+4", "4 4", "0x4", "004", "99999999999999999999")
		}
		i := m.IntN(len(s.fields) + 1)
		s.fields = append(s.fields[:i:i], append([]cgi.Field{f}, s.fields[i:]...)...)
	}
	return s
}
