package fastcgi

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"gatehouse/cgi"
	"gatehouse/cgi/spool"
	"gatehouse/fastcgi/record"
	"gatehouse/internal/testkit"
)

// TestMachine drives a server with what rapid draws, and checks all that comes back
// against a model: each request that has begun ends once, in the way that its
// program does, and the connection is closed when the rules say so.
func TestMachine(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		// In a bubble nothing is left to chance, but there are no descriptors.
		if rapid.IntRange(0, 4).Draw(rt, "socket") == 0 {
			work(rt, false)
			return
		}
		inBubble(t, func() { work(rt, true) })
	})
}

// inBubble runs f in a bubble of testing/synctest. A panic of f, which is how rapid
// ends a test that fails, leaves the bubble before it goes on.
func inBubble(t *testing.T, f func()) {
	var thrown any
	synctest.Test(t, func(*testing.T) {
		defer func() { thrown = recover() }()
		f()
	})
	if thrown != nil {
		panic(thrown)
	}
}

// paramsLimit is Limits.ParamsBytes of the machine.
const paramsLimit = 3000

// A machine is a server, and a connection to it that follows the model.
type machine struct {
	*rapid.T
	bubble bool
	srv    *Server
	dial   func() net.Conn
	apps   *programs
	kept   *spool.Budget
	served chan error

	*board
	*model
	conn     net.Conn
	all      []*exchange // of this connection
	out      []byte      // not written yet
	behind   bool        // the server may not have seen all that was written
	events   []event     // guarded by the board
	readErr  error
	slow     bool
	reading  sync.WaitGroup
	nextType byte
}

type event struct {
	typ     record.Type
	id      uint16
	content []byte
}

func work(rt *rapid.T, bubble bool) {
	b := newBoard()
	m := &machine{T: rt, bubble: bubble, board: b, kept: spool.NewBudget(0), served: make(chan error, 1),
		apps: &programs{board: b, runs: make(map[string]*run)}}
	limits := cgi.Limits{Requests: 4, ParamsBytes: paramsLimit, Idle: time.Hour, BodyRead: time.Hour, BodyRate: -1, Write: time.Hour,
		Spool: spool.Limits{Memory: 8 << 10, Total: m.kept}}
	m.srv = &Server{App: m.apps, Authorizer: m.apps, Filter: m.apps, Limits: limits, Log: slog.New(slog.DiscardHandler),
		Handler: &cgi.Handler{Log: slog.New(slog.DiscardHandler), Spool: limits.Spool}}
	var l net.Listener
	if bubble {
		pl := newPipeListener()
		room := rapid.SampledFrom([]int{1, 100, 10_000, 0}).Draw(rt, "room")
		half := rapid.Bool().Draw(rt, "half")
		l, m.dial = pl, func() net.Conn { return pl.dial(room, half) }
	} else {
		ul, err := net.Listen("unix", "")
		if err != nil {
			rt.Fatal(err)
		}
		l = ul
		m.dial = func() net.Conn {
			c, err := net.Dial("unix", ul.Addr().String())
			if err != nil {
				rt.Fatal(err)
			}
			return c
		}
	}
	go func() { m.served <- m.srv.Serve(l) }()
	defer m.stop()
	m.open()
	actions := map[string]func(*rapid.T){
		"begin": m.beginNew, "begin again": m.beginNew, "params": m.sendParams, "more params": m.sendParams,
		"stream": m.sendStream, "more stream": m.sendStream, "end stream": m.sendStream, "whole": m.whole, "another": m.whole,
		"release": m.release, "go on": m.release, "slow": m.readSlowly, "abort": m.sendAbort,
		"management": m.manage, "stray": m.stray, "oversize": m.oversize, "break": m.breakRules, "leave": m.leave,
	}
	rt.Repeat(actions)
	m.finish()
}

// open makes a new connection.
func (m *machine) open() {
	m.model = &model{unix: !m.bubble, limit: 4, active: make(map[uint16]*exchange), ending: make(map[uint16]*exchange)}
	m.conn = m.dial()
	m.all, m.out, m.behind, m.events, m.readErr, m.slow, m.nextType = nil, nil, false, nil, nil, false, 100
	m.reading.Go(func() { m.read(record.NewReader(m.conn)) })
}

// read tells the board what comes.
func (m *machine) read(r *record.Reader) {
	for {
		m.mu.Lock()
		for m.slow {
			m.changed.Wait()
		}
		m.mu.Unlock()
		h, content, err := r.Next()
		m.tell(func() {
			if err != nil {
				m.readErr = err
				return
			}
			m.events = append(m.events, event{h.Type(), h.ID(), slices.Clone(content)})
		})
		if err != nil {
			return
		}
	}
}

// send puts a record in the way, with padding. It is written with the next that has
// to be, or by flush.
func (m *machine) send(typ record.Type, id uint16, content []byte) {
	pad := 0
	if rapid.Bool().Draw(m.T, "padded") {
		pad = rapid.IntRange(1, 255).Draw(m.T, "padding")
	}
	m.out = append(m.out, raw(1, byte(typ), id, string(content), pad, byte(pad))...)
	if x := m.active[id]; x == nil || len(m.active) > 1 || typ == record.AbortRequest {
		m.behind = true
	}
}

// flush writes what waits, in pieces.
func (m *machine) flush() {
	for len(m.out) > 0 {
		n := len(m.out)
		if rapid.Bool().Draw(m.T, "cut") {
			n = rapid.IntRange(1, n).Draw(m.T, "piece")
		}
		if _, err := m.conn.Write(m.out[:n]); err != nil && !m.closed {
			m.Fatalf("write: %v", err)
		}
		m.out = m.out[n:]
		if m.bubble && rapid.Bool().Draw(m.T, "wait") {
			synctest.Wait()
		}
	}
}

// settled writes what waits, and waits until all has come that must.
func (m *machine) settled() {
	m.flush()
	if m.bubble {
		synctest.Wait()
		if m.late() != "" {
			time.Sleep(10 * time.Second) // of the bubble's time: ticks, and a linger
			synctest.Wait()
		}
		if late := m.late(); late != "" {
			m.Fatalf("missing: %s", late)
		}
	} else {
		m.await()
	}
	if m.closed {
		m.over()
	}
}

// await waits on a socket.
func (m *machine) await() {
	expired := false
	timer := time.AfterFunc(testkit.Patience, func() { m.tell(func() { expired = true }) })
	defer timer.Stop()
	for {
		late := m.late()
		if late == "" {
			return
		}
		m.tell(func() {
			if expired {
				m.Fatalf("missing: %s", late)
			}
			if late == m.lateLocked() {
				m.changed.Wait()
			}
		})
	}
}

// late checks what has come, and says what has not.
func (m *machine) late() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, e := range m.events {
		if err := m.take(e); err != nil {
			m.Fatal(err)
		}
	}
	m.events = m.events[:0]
	return m.lateLocked()
}

func (m *machine) lateLocked() string {
	if len(m.events) > 0 {
		return "records unchecked"
	}
	if s := m.missing(); s != "" {
		if m.readErr != nil {
			m.Fatalf("the connection ended in %v; missing: %s", m.readErr, s)
		}
		return s
	}
	switch {
	case m.closed && m.readErr == nil:
		return "the end of the connection"
	case !m.closed && m.readErr != nil:
		m.Fatalf("the connection ended in %v", m.readErr)
	case m.closed && m.poisoned != errors.Is(m.readErr, record.ErrVersion):
		m.Fatalf("the connection ended in %v; poisoned: %v", m.readErr, m.poisoned)
	}
	return ""
}

// sync has the server see all that was written, before something happens that does
// not come from there.
func (m *machine) sync() {
	m.settled()
	if !m.behind || m.closed || m.eof || m.blocked() {
		return
	}
	m.behind = false
	if m.bubble {
		time.Sleep(2 * time.Second) // the ticks that start a reader
		synctest.Wait()
	} else {
		m.unknownType()
	}
	m.settled()
}

// unknownType asks with a management record that nobody knows.
func (m *machine) unknownType() {
	typ := m.nextType
	m.nextType = 100 + (m.nextType-99)%100
	m.out = append(m.out, raw(1, typ, 0, "", 0, 0)...)
	m.replies = append(m.replies, []byte{byte(record.UnknownType), typ, 0, 0, 0, 0, 0, 0, 0})
}

// over ends a connection that the server has closed: every program must end, and
// nothing is kept. Then there is a new connection.
func (m *machine) over() {
	for _, x := range m.ending {
		if err := x.checkStdout(); err != nil {
			m.Fatal(err)
		}
	}
	m.conn.Close()
	m.reading.Wait()
	m.ended(cgi.ErrAborted)
	m.open()
}

// ended waits until all programs of the connection have ended, those that wait to be
// cancelled for the cause.
func (m *machine) ended(cause error) {
	for _, x := range m.all {
		x.letAll()
	}
	check := func() string {
		for _, x := range m.all {
			if x.run == nil || !x.ready {
				continue
			}
			switch u := x.run; {
			case !u.ended:
				return fmt.Sprintf("the end of %v, which is at step %d, request %d", u.ops, u.pc, x.id)
			case u.calls != 1:
				m.Fatalf("request %d was run %d times", x.id, u.calls)
			case int(u.role) != int(x.role) || u.long != x.long:
				m.Fatalf("request %d was run as %v, with a long variable of %d bytes; want %v and %d", x.id, u.role, u.long, x.role, x.long)
			case !bytes.HasPrefix(x.stdin.arrived, u.read) || x.data != nil && !bytes.HasPrefix(x.data.arrived, u.data):
				m.Fatalf("request %d read what nobody sent", x.id)
			case u.cause != nil && !errors.Is(u.cause, cause) && !(x.aborted && errors.Is(u.cause, cgi.ErrAborted)):
				m.Fatalf("request %d was cancelled for %v, want %v", x.id, u.cause, cause)
			}
		}
		if n := m.kept.Used(); n != 0 {
			return fmt.Sprintf("the end of %d bytes that are kept", n)
		}
		return ""
	}
	var late string
	if !testkit.Poll(func() bool { m.tell(func() { late = check() }); return late == "" }) {
		m.Fatalf("missing: %s", late)
	}
}

// stop ends everything, also when the test has failed.
func (m *machine) stop() {
	m.tell(func() { m.slow = false })
	for _, x := range m.all {
		x.letAll()
	}
	m.srv.Close()
	<-m.served
	m.conn.Close()
	m.reading.Wait()
}
