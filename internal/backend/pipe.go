package backend

import (
	"sync"

	"gatehouse/cgi/relay"
	"gatehouse/cgi/spool"
	"gatehouse/internal/nowait"
)

const (
	// pipeAfter is how many bytes of a response come before a pipe is used: for a shorter one it
	// costs more than it saves.
	pipeAfter = 128 << 10

	// idlePipes is how many pipes a Pool keeps for the next responses: to open and close one
	// costs as much as to copy some hundred kilobytes.
	idlePipes = 8
)

// A pipeSource is a Source that moves what comes to a pipe, given by its descriptor: least bytes or
// more, or all that belongs together. Of other bytes it is a Read.
type pipeSource interface {
	relay.Output
	ReadPipe(p []byte, pipe, least int) (n, moved int, err error)
}

// A pipeStock has the pipes of a Pool that are not in use.
type pipeStock struct {
	mu     sync.Mutex
	idle   []*nowait.Pipe
	closed bool
}

// take returns an empty pipe, or nil if there is none.
func (p *pipeStock) take() *nowait.Pipe {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := len(p.idle); n > 0 {
		pipe := p.idle[n-1]
		p.idle = p.idle[:n-1]
		return pipe
	}
	return nowait.NewPipe()
}

// put takes a pipe back, which is closed unless it is empty and another one is wanted.
func (p *pipeStock) put(pipe *nowait.Pipe, empty bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !empty || p.closed || len(p.idle) >= idlePipes {
		pipe.Close()
		return
	}
	p.idle = append(p.idle, pipe)
}

// close closes those that are idle, and later those that are put back.
func (p *pipeStock) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	for _, pipe := range p.idle {
		pipe.Close()
	}
	p.idle = nil
}

// A passing is the pipe that a response passes through, once it is a long one.
type passing struct {
	source pipeSource    // or nil: no pipe is used
	bound  *spool.Budget // of the descriptors of a pipe that outlives the connection, or nil
	pipe   *nowait.Pipe
	n      int  // bytes in the pipe …
	shown  bool // … of which some may have been taken
	passed int  // bytes read, until there is a pipe
}

// pending returns how many bytes are in the pipe.
func (p *passing) pending() int {
	if p.shown {
		p.n, p.shown = p.pipe.Len(), false
	}
	return p.n
}

// open reports whether there is a pipe for what comes next.
func (p *passing) open(from *pipeStock) bool {
	if p.source == nil || p.passed < pipeAfter {
		return false
	}
	if p.pipe == nil && !p.take(from) {
		p.source = nil
	}
	return p.pipe != nil
}

// take takes a pipe, and reports false if there is none.
func (p *passing) take(from *pipeStock) bool {
	if !p.bound.ReserveFiles(nowait.PipeDescriptors) {
		return false
	}
	if p.pipe = from.take(); p.pipe == nil {
		p.bound.ReleaseFiles(nowait.PipeDescriptors)
	}
	return p.pipe != nil
}

// close gives the pipe back.
func (p *passing) close(to *pipeStock) {
	if p.pipe != nil {
		to.put(p.pipe, p.pending() == 0)
		p.pipe = nil
		p.bound.ReleaseFiles(nowait.PipeDescriptors)
	}
}

// ReadOr implements relay.Pipe.
func (o outputReader) ReadOr(p []byte, least int) (n, ready int, err error) {
	g := &o.passing
	switch {
	case g.pending() > 0: // what was not taken
		n, err = g.pipe.Read(p)
		g.n -= n
		return n, 0, err
	case least > 0 && g.open(&o.Turn.pool.pipes):
		n, g.n, err = o.readOr(p, least)
		g.shown = g.n > 0
		return n, g.n, err
	}
	n, _, err = o.readOr(p, 0)
	g.passed += n
	return n, 0, err
}

// Fd implements relay.Pipe.
func (o outputReader) Fd() int { return o.passing.pipe.Out() }
