//go:build !linux

package script

import (
	"io"
	"os"
	"sync/atomic"
	"time"
)

// platform is what a process is known by where it has no descriptor of its own.
type platform struct {
	proc  *os.Process
	state *os.ProcessState
}

// catchIgnored and markDescriptors have no counterpart here.
func catchIgnored() (stop func()) { return func() {} }
func markDescriptors()            {}

// start starts a program with no descriptors but its three.
func start(c *command) (*process, error) {
	p := &process{exited: make(chan struct{})}
	var opened []*os.File
	defer func() {
		for _, f := range opened {
			f.Close()
		}
	}()
	in := c.stdin
	if in == nil {
		r, w, err := os.Pipe()
		if err != nil {
			return nil, err
		}
		in, p.stdin, opened = r, w, append(opened, r)
	}
	files := []*os.File{in}
	for _, out := range []**outPipe{&p.stdout, &p.stderr} {
		r, w, err := os.Pipe()
		if err != nil {
			p.closePipes()
			return nil, err
		}
		*out, files, opened = &outPipe{file: r}, append(files, w), append(opened, w)
	}
	var err error
	p.proc, err = os.StartProcess(c.path, c.argv(), &os.ProcAttr{Dir: c.dir, Env: c.env, Files: files, Sys: groupAttr()})
	if err != nil {
		p.closePipes()
		return nil, err
	}
	p.pid = p.proc.Pid
	return p, nil
}

func (p *process) closePipes() {
	if p.stdin != nil {
		p.stdin.Close()
	}
	for _, out := range []*outPipe{p.stdout, p.stderr} {
		if out != nil {
			out.close()
		}
	}
}

// awaitExit reaps the leader at once: the group's number is not kept until the
// others have ended, so that they get no grace after their leader's end.
func (p *process) awaitExit() { p.state, _ = p.proc.Wait() }

// tryReap leaves it to watch.
func (p *process) tryReap() bool { return false }

func (p *process) reap() status {
	switch {
	case p.state == nil:
		return status{signal: "unknown, reaped elsewhere"}
	case !p.state.Exited():
		return status{signal: p.state.String()}
	}
	return status{code: p.state.ExitCode()}
}

func (p *process) othersAlive() bool { return false }

// An outPipe is our end of a pipe that a program writes to.
type outPipe struct {
	file  *os.File
	woken atomic.Bool
}

func (p *outPipe) open() {}

func (p *outPipe) read(b []byte) (int, error) { return p.file.Read(b) }

// pending is not known, so that what is there is read until nothing comes for a
// moment.
func (p *outPipe) pending() int { return 1 << 20 }

func (p *outPipe) readNow(b []byte) (int, error) {
	if p.file.SetReadDeadline(time.Now().Add(10*time.Millisecond)) != nil {
		return 0, io.EOF
	}
	return p.file.Read(b)
}

func (p *outPipe) waitUntil(t time.Time) {
	p.file.SetReadDeadline(t)
	if p.woken.Load() {
		p.file.SetReadDeadline(time.Unix(1, 0))
	}
}

// wake makes reads return, where pipes have deadlines; on Windows they return at
// the end of the program's output.
func (p *outPipe) wake() {
	p.woken.Store(true)
	p.file.SetReadDeadline(time.Unix(1, 0))
}

func (p *outPipe) close() { p.file.Close() }
