package fastcgi

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"sync"

	"pgregory.net/rapid"

	"gatehouse/cgi"
)

// An op is one step of a program.
type op struct {
	do opKind
	n  int
}

type opKind string

const (
	opGate   opKind = "gate"   // wait until the test lets it go on
	opRead   opKind = "read"   // n bytes of the body, or to its end
	opData   opKind = "data"   // the same of a Filter's data
	opWrite  opKind = "write"  // n bytes
	opEcho   opKind = "echo"   // write what was read
	opFlush  opKind = "flush"  //
	opDuplex opKind = "duplex" // the head need not wait for the body
	opClose  opKind = "close"  // close the body

	// The last step.
	opReturn opKind = "return"        // all is well
	opFail   opKind = "fail"          // return an error
	opRefuse opKind = "refuse"        // return a StatusError, 503
	opPanic  opKind = "panic"         //
	opSilent opKind = "abort handler" // panic with http.ErrAbortHandler
	opCancel opKind = "cancel"        // wait for the context, return its cause
)

// A program is an application that does what the test has drawn.
type program struct {
	ops     []op
	exit    int  // SetExitStatus
	declare bool // more Content-Length than there will be
}

var (
	errProgram  = errors.New("the program fails")
	readForever = 1 << 30
)

// drawProgram draws a program that waits for nothing, or for the test at gates.
func drawProgram(rt *rapid.T) program {
	var p program
	kinds := []opKind{opGate, opGate, opRead, opRead, opRead, opData, opWrite, opWrite, opEcho, opFlush, opDuplex, opClose}
	closed := false
	for range rapid.IntRange(0, 6).Draw(rt, "steps") {
		o := op{do: rapid.SampledFrom(kinds).Draw(rt, "step")}
		switch o.do {
		case opRead:
			if closed {
				continue
			}
			o.n = rapid.SampledFrom([]int{1, 10, 1000, 20_000, readForever, readForever}).Draw(rt, "read")
		case opData:
			o.n = rapid.SampledFrom([]int{1, 5000, readForever}).Draw(rt, "data")
		case opWrite:
			o.n = rapid.SampledFrom([]int{1, 10, 5000, 16 << 10, 20_000, 70_000, 200_000}).Draw(rt, "write")
		case opClose:
			closed = true
		}
		p.ops = append(p.ops, o)
	}
	last := rapid.SampledFrom([]opKind{opReturn, opReturn, opReturn, opReturn, opFail, opRefuse, opPanic, opSilent, opCancel}).Draw(rt, "last")
	p.ops = append(p.ops, op{do: last})
	p.exit = rapid.SampledFrom([]int{0, 0, 0, 3}).Draw(rt, "exit status")
	p.declare = rapid.IntRange(0, 9).Draw(rt, "declare") == 9
	return p
}

// A run is a program at work. What follows the lock is guarded by it.
type run struct {
	program
	gate chan struct{}
	once sync.Once // closes the gate

	*board
	pc    int // -1: not called yet
	read  []byte
	data  []byte
	role  cgi.Role
	long  int
	calls int
	ended bool
	cause error // of a cancellation that was waited for
}

// A board is where runs, and whoever reads from the connection, tell the test how
// far they are.
type board struct {
	mu      sync.Mutex
	changed sync.Cond
}

func newBoard() *board {
	b := new(board)
	b.changed.L = &b.mu
	return b
}

func (b *board) tell(f func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	f()
	b.changed.Broadcast()
}

// pattern is n bytes of a body, from the given place on.
func pattern(seed, from, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		at := from + i
		b[i] = byte(at ^ at>>8 ^ seed*31)
	}
	return b
}

// answerSeed is the pattern of what programs write.
const answerSeed = 77

// tooLong is a Content-Length that no program reaches.
const tooLong = "9000000"

// ServeCGI runs the program.
func (u *run) ServeCGI(w cgi.ResponseWriter, r *cgi.Request) error {
	u.tell(func() { u.calls++; u.role, u.long = r.Role, len(r.Env.Get("LONG")) })
	defer u.tell(func() { u.ended = true })
	cgi.SetExitStatus(w, u.exit)
	started, wrote := false, 0
	start := func() error {
		if started {
			return nil
		}
		started = true
		var fields []cgi.Field
		if u.declare {
			fields = []cgi.Field{{Name: "Content-Length", Value: tooLong}}
		}
		return w.StartResponse("200 OK", fields)
	}
	write := func(b []byte) error {
		if err := start(); err != nil {
			return err
		}
		_, err := w.Write(b)
		return err
	}
	for i, o := range u.ops {
		u.tell(func() { u.pc = i })
		var err error
		switch o.do {
		case opGate:
			<-u.gate
		case opRead:
			err = u.readStream(r.Body, o.n, &u.read)
		case opData:
			if r.Data != nil {
				err = u.readStream(r.Data, o.n, &u.data)
			}
		case opWrite:
			err = write(pattern(answerSeed, wrote, o.n))
			wrote += o.n
		case opEcho:
			err = write(u.read)
		case opFlush:
			if err = start(); err == nil {
				err = w.Flush()
			}
		case opDuplex:
			err = cgi.EnableFullDuplex(w)
		case opClose:
			r.CloseBody()
		case opReturn:
			return start()
		case opFail:
			return errProgram
		case opRefuse:
			return &cgi.StatusError{Code: http.StatusServiceUnavailable}
		case opPanic:
			panic("as the program says")
		case opSilent:
			panic(http.ErrAbortHandler)
		case opCancel:
			<-r.Context().Done()
			cause := context.Cause(r.Context())
			u.tell(func() { u.cause = cause })
			return cause
		}
		if err != nil {
			return err
		}
	}
	panic("a program without an end")
}

// readStream reads n bytes, or to the end, and keeps them.
func (u *run) readStream(body io.Reader, n int, kept *[]byte) error {
	buf := make([]byte, min(n, 7000))
	for n > 0 {
		m, err := body.Read(buf[:min(n, len(buf))])
		n -= m
		u.tell(func() { *kept = append(*kept, buf[:m]...) })
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// programs is an application that looks up the run of each request.
type programs struct {
	*board
	runs map[string]*run
}

func (p *programs) ServeCGI(w cgi.ResponseWriter, r *cgi.Request) error {
	p.mu.Lock()
	u := p.runs[r.Env.Get("RUN")]
	p.mu.Unlock()
	if u == nil {
		return errors.New("a request that nobody made")
	}
	return u.ServeCGI(w, r)
}

// add makes a run of a program. Its gate lets as many tokens pass as are put in.
func (p *programs) add(prog program) (name string, u *run) {
	u = &run{program: prog, gate: make(chan struct{}, len(prog.ops)), board: p.board, pc: -1}
	p.tell(func() {
		name = strconv.Itoa(len(p.runs))
		p.runs[name] = u
	})
	return name, u
}
