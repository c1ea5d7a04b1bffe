package script

import (
	"fmt"
	"os"
	"sync"
	"time"
)

// A command is what is needed to start a program.
type command struct {
	path  string   // absolute
	argv0 string   // the path as the program is told of it
	args  []string // beside the path
	dir   string
	env   []string
	stdin *os.File // what the program reads; nil for a pipe

	confined *confined // nil for a program that is not
	reaper   *Reaper   // or nil
}

// A process is a started program, the leader of a process group of its own. Its
// watch method, which must be called once, waits for its end and reaps it.
type process struct {
	platform
	pid            int
	stdin          *os.File // our end of the pipe, or nil
	stdout, stderr *outPipe

	mu     sync.Mutex
	ending bool      // TERM has been sent, or more
	killAt time.Time // when KILL follows
	killer *time.Timer
	gone   bool // reaped: its number may belong to another process

	exited chan struct{} // closed once it has been reaped
	status status        // how it ended, once exited is closed
}

// A status is how a process ended.
type status struct {
	code   int    // exit status, if signal is ""
	signal string // name of the signal that ended it
}

func (s status) String() string {
	if s.signal != "" {
		return "ended by signal: " + s.signal
	}
	return fmt.Sprintf("exit status %d", s.code)
}

// watch returns when the process has been reaped and, if it was ended, nothing is
// left of its group, and its control group has been given back.
func (p *process) watch() {
	p.awaitExit()
	p.mu.Lock()
	if p.ending {
		// The others of the group have the rest of the grace. While the leader is not
		// reaped, no new process can get the group's number.
		for time.Now().Before(p.killAt) && p.othersAlive() {
			p.mu.Unlock()
			time.Sleep(20 * time.Millisecond)
			p.mu.Lock()
		}
		p.killGroup()
		p.killer.Stop()
	}
	p.gone = true
	p.status = p.reap()
	p.mu.Unlock()
	close(p.exited)
	p.release()
}

// end ends the whole group: TERM, and KILL after grace. It does not wait. If the
// process has ended, or is ending, it does nothing and returns false.
func (p *process) end(grace time.Duration) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.gone || p.ending {
		return false
	}
	p.ending = true
	p.killAt = time.Now().Add(min(grace, 1000*time.Hour))
	if grace > 0 {
		p.termGroup()
	}
	p.killer = time.AfterFunc(grace, p.kill)
	return true
}

func (p *process) kill() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.gone {
		p.killGroup()
	}
}

// hasExited reports whether the process has been reaped.
func (p *process) hasExited() bool {
	select {
	case <-p.exited:
		return true
	default:
		return false
	}
}
