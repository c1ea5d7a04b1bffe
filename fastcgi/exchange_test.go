package fastcgi

import (
	"bytes"
	"fmt"

	"gatehouse/fastcgi/record"
)

// An exchange is what the model knows of a request. It runs the program in
// thought, as far as what has been sent lets it go.
type exchange struct {
	id      uint16
	role    record.Role
	keep    bool
	long    int    // of a variable
	params  []byte // still to be sent
	pairs   bool   // they are well formed
	stdin   inflow
	data    *inflow // of a Filter
	run     *run    // nil for a request that must not reach the application
	program program

	ready     bool // PARAMS have ended
	cut       bool // the peer sends no more
	aborted   bool
	bodyShut  bool
	pc        int // of the program
	tokens    int // that the gate has
	duplex    bool
	headSent  bool
	bodyTaken bool // the head waits for the body, or has waited
	touched   bool // the answer after the abort
	answer    []byte
	flushed   int // of head and answer, that must be on the wire

	done   bool
	status uint32
	stdout []byte // what must come
	part   bool   // only a part of it need come
	broken bool   // a truncation

	got   []byte
	empty int // STDOUT records without content
}

// An inflow is STDIN or DATA.
type inflow struct {
	typ     record.Type
	length  int    // as a variable states it; -1: none does
	unsent  []byte // still to be sent
	arrived []byte
	taken   int // by the program
	ended   bool
}

const head200 = "Status: 200 OK\r\n"

func page(status, body string) []byte {
	return fmt.Appendf(nil, "Status: %s\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n%s", status, len(body), body)
}

var (
	page500 = page("500 Internal Server Error", "A server error occurred.  Please contact the administrator.")
	page503 = page("503 Service Unavailable", "503 Service Unavailable\n")
	page400 = page("400 Bad Request", "400 Bad Request\n")
	page431 = page("431 Request Header Fields Too Large", "431 Request Header Fields Too Large\n")
)

// head is the head that leaves before the answer is complete.
func (x *exchange) head() string {
	if x.program.declare {
		return head200 + "Content-Length: " + tooLong + "\r\n\r\n"
	}
	return head200 + "\r\n"
}

// letAll opens the gate of the request's program for good.
func (x *exchange) letAll() {
	if x.run != nil {
		x.run.once.Do(func() { close(x.run.gate) })
	}
}

// whole reports whether all of the stream that will be read is there.
func (f *inflow) whole() bool {
	return f.length >= 0 && len(f.arrived) == f.length
}

// arrive takes a part of a stream.
func (x *exchange) arrive(f *inflow, b []byte) {
	if f.ended || x.aborted || x.bodyShut && f == &x.stdin {
		return
	}
	if f.length >= 0 {
		b = b[:min(len(b), f.length-len(f.arrived))]
	}
	f.arrived = append(f.arrived, b...)
}

// open returns the stream that is to be sent next, or nil if all have ended. DATA comes
// after STDIN (FastCGI 1.0 § 6.4).
func (x *exchange) open() *inflow {
	switch {
	case !x.stdin.ended:
		return &x.stdin
	case x.data != nil && !x.data.ended:
		return x.data
	}
	return nil
}

// unsure reports that it is left to chance whether the length of the stream was known
// when the program began.
func (f *inflow) unsure() bool { return f.length < 0 && f.ended }

// unread is how much the server has to keep, if it must not be lost, and for which it
// would rather not read on. A Filter's STDIN is not in the way of its DATA.
func (x *exchange) unread() int {
	switch {
	case x.aborted:
		return 0
	case x.data != nil:
		return len(x.data.arrived) - x.data.taken
	case x.bodyTaken || x.bodyShut:
		return 0
	}
	return len(x.stdin.arrived) - x.stdin.taken
}

// read reads in thought. It reports whether the program has to wait.
func (x *exchange) read(f *inflow, n int) (failed, wait bool) {
	if f == nil {
		return false, false
	}
	avail := len(f.arrived) - f.taken
	switch {
	case avail >= n:
		f.taken += n
		return false, false
	case f.whole(), f.ended && f.length < 0 && !x.aborted:
	case x.aborted, f.ended, x.cut:
		failed = true
	default:
		return false, true
	}
	f.taken += avail
	return failed, false
}

// send sends the head in thought, for which the body has to be there. It reports
// whether the program has to wait.
func (x *exchange) send() (failed, wait bool) {
	if !x.headSent && !x.duplex && x.stdin.length != 0 {
		x.bodyTaken = true
		if !x.stdin.whole() && !x.stdin.ended && !x.cut && !x.aborted && !x.bodyShut {
			return false, true
		}
	}
	if x.aborted {
		x.touched = true
		return true, false
	}
	x.headSent = true
	return false, false
}

// advance runs the program until it waits or has ended.
func (x *exchange) advance() {
	for !x.done {
		var failed, wait bool
		o := x.program.ops[x.pc]
		switch o.do {
		case opGate:
			if wait = x.tokens == 0; !wait {
				x.tokens--
			}
		case opRead:
			failed, wait = x.read(&x.stdin, o.n)
		case opData:
			failed, wait = x.read(x.data, o.n)
		case opWrite:
			failed, wait = x.write(pattern(answerSeed, x.wrote(), o.n))
		case opEcho:
			failed, wait = x.write(x.echo())
		case opFlush:
			if failed, wait = x.send(); !failed && !wait {
				x.flushed = len(x.head()) + len(x.answer)
			}
		case opDuplex:
			x.duplex = true
		case opClose:
			x.bodyShut = true
		case opCancel:
			if wait = !x.aborted; !wait {
				x.end(opFail)
			}
		default:
			x.end(o.do)
		}
		switch {
		case wait:
			return
		case failed:
			x.end(opFail)
		}
		x.pc++
	}
}

// echo is what the program has read of the body.
func (x *exchange) echo() []byte { return x.stdin.arrived[:x.stdin.taken] }

// wrote is how much the program has written by write steps before this one.
func (x *exchange) wrote() (n int) {
	for _, o := range x.program.ops[:x.pc] {
		if o.do == opWrite {
			n += o.n
		}
	}
	return n
}

func (x *exchange) write(b []byte) (failed, wait bool) {
	if len(b) > 0 && (x.headSent || len(x.answer)+len(b) > 16<<10) {
		if failed, wait = x.send(); failed || wait {
			return failed, wait
		}
	}
	x.answer = append(x.answer, b...)
	return false, false
}

// end ends the request as its program does.
func (x *exchange) end(how opKind) {
	x.done = true
	x.status = uint32(x.program.exit)
	x.stdout = append([]byte(x.head()), x.answer...)
	page := page500
	if how == opRefuse {
		page = page503
	}
	switch {
	case x.aborted:
		x.part = true
		complete := how == opReturn && x.headSent && !x.touched && !x.program.declare
		if !complete {
			x.status = max(x.status, 1)
		}
		return
	case how == opReturn && x.program.declare:
		x.broken = true
	case how == opReturn:
		if !x.headSent {
			x.stdout = fmt.Appendf(nil, "%sContent-Length: %d\r\n\r\n%s", head200, len(x.answer), x.answer)
		}
	case how == opSilent:
		x.broken = true
		if !x.headSent {
			x.stdout = nil
		}
	case x.headSent:
		x.broken = true
	default:
		x.stdout = page
	}
	if x.broken {
		x.status = max(x.status, 1)
	}
}

// answerPage ends a request that the application never sees.
func (x *exchange) answerPage(page []byte) {
	x.ready, x.done, x.stdout = true, true, page
}

func (x *exchange) takeStdout(b []byte) error {
	if x.empty > 0 {
		return fmt.Errorf("request %d: STDOUT after its end", x.id)
	}
	if len(b) == 0 {
		x.empty++
		if !x.done || x.part || x.broken {
			return fmt.Errorf("request %d: STDOUT ends", x.id)
		}
		return nil
	}
	x.got = append(x.got, b...)
	want := x.stdout
	if !x.done {
		want = append([]byte(x.head()), x.answer...)
	}
	if !bytes.HasPrefix(want, x.got) {
		return fmt.Errorf("request %d: STDOUT is %.200q (%d bytes), want %.200q (%d bytes)", x.id, x.got, len(x.got), want, len(want))
	}
	return nil
}

// checkStdout checks what came of an answer as a whole.
func (x *exchange) checkStdout() error {
	if len(x.got) != len(x.stdout) && !(x.part && len(x.got) >= x.flushed) {
		return fmt.Errorf("request %d: STDOUT is %.200q (%d bytes), want %.200q (%d bytes)", x.id, x.got, len(x.got), x.stdout, len(x.stdout))
	}
	if want := !x.part && !x.broken; want != (x.empty == 1) {
		return fmt.Errorf("request %d: %d ends of STDOUT", x.id, x.empty)
	}
	return nil
}
