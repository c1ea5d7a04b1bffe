package script

import (
	"log/slog"
	"runtime"
	"time"

	"gatehouse/cgi"
	"gatehouse/cgi/process"
)

const (
	// attendAfter is how long a program runs before it gets goroutines that wait for its
	// end and read its stderr. Most programs end sooner and cost neither. What is held up
	// that long is a program that fills the pipe of its stderr, and the response of one that
	// leaves its stdout to a child.
	attendAfter = 50 * time.Millisecond

	// reapTries is how often a program whose output has ended is looked at, in turn with
	// other work, before it gets those goroutines. It mostly ends within microseconds.
	reapTries = 64
)

// attendance is who waits for the program's end and reads its stderr.
type attendance uint8

const (
	unattended attendance = iota // nobody yet
	claimed                      // the goroutine of ServeCGI, for a moment
	attended                     // two goroutines of their own, or nobody any more
)

// attend has goroutines of their own wait for the program's end, and read its stderr, from
// now on.
func (u *run) attend() {
	u.attending.Lock()
	defer u.attending.Unlock()
	if u.attendance == unattended {
		u.startAttending()
	}
}

// startAttending starts these goroutines. attending is held.
func (u *run) startAttending() {
	u.attendance = attended
	u.finished = make(chan struct{})
	u.proc.Stderr.Open()
	go u.readStderr()
	go u.watch()
}

// reap reaps a program whose output has ended, and does all that is left to do. It
// reports false, and leaves that to goroutines, if the program keeps running.
func (u *run) reap() bool {
	if u.pump != nil || u.body.Spooled() {
		u.attend()
		return false
	}
	u.attending.Lock()
	if u.attendance != unattended {
		u.attending.Unlock()
		return false
	}
	u.attendance = claimed
	u.attending.Unlock()
	for range reapTries {
		if u.proc.TryWait() {
			u.attending.Lock()
			u.attendance = attended
			u.attending.Unlock()
			u.readStderr()
			u.finish()
			return true
		}
		runtime.Gosched()
	}
	u.attending.Lock()
	u.startAttending()
	u.attending.Unlock()
	return false
}

// readStderr reads what the program writes to stderr, to its end: on a goroutine of its
// own or, once the program has ended, on that of ServeCGI.
func (u *run) readStderr() {
	defer u.app.state.owned.Done()
	c := stderrLog{log: u.app.log(), about: u.about, script: u.target.path,
		sandbox: u.app.sandbox, limit: u.limits.StderrBytes, raw: u.rawStderr(), hold: u.app.StderrToClient}
	c.drain(u.proc.Stderr)
	u.proc.Stderr.Close()
	close(u.stderrDone)
}

// watch is the goroutine that waits for the program's end.
func (u *run) watch() {
	u.app.state.reached("wait")
	u.proc.Wait()
	u.leaveBody()
	u.reportLate()
	u.finish()
}

// reportLate logs how a program ended whose response was complete before.
func (u *run) reportLate() {
	u.mu.Lock()
	defer u.mu.Unlock()
	if s := u.proc.Status(); u.outlived && u.cause == nil && s != (process.Status{}) {
		u.logAttrs("program ended after its response", slog.String("error", u.ending(s)))
	}
}

// finish gives back all that a program had which has ended.
func (u *run) finish() {
	s, b := &u.app.state, u.body
	defer s.owned.Done()
	end, used := u.proc.Status(), u.proc.Usage()
	u.tally.CountProgram(cgi.ProgramEnd{ExitStatus: end.Code, Signal: end.Signal, User: used.User, System: used.System, PeakMemory: used.PeakMemory})
	u.timer.Stop()
	if u.proc.Stdin != nil {
		u.proc.Stdin.Close()
	}
	if b.Spooled() {
		if u.pump != nil {
			<-u.pump.done // it reads the spool, and has lost its pipe
		}
		b.Close()
	}
	s.mu.Lock()
	delete(s.running, u)
	s.mu.Unlock()
	s.reached("leave")
	s.gate.Leave(u.place)
	if u.finished != nil {
		close(u.finished)
	}
}
