//go:build !linux && !windows

package process

import (
	"os"
)

// Start starts a program with no descriptors but its three.
func (*Launcher) Start(c *Command) (p *Process, err error) {
	p = &Process{exited: make(chan struct{})}
	var opened []*os.File // the program's ends
	defer func() {
		for _, f := range opened {
			f.Close()
		}
		if err != nil {
			p.closePipes()
			p, err = nil, &Error{OpStart, c.Path, err}
		}
	}()
	in := c.Stdin
	if in == nil {
		if in, p.Stdin, err = os.Pipe(); err != nil {
			return p, err
		}
		opened = append(opened, in)
	}
	files := []*os.File{in}
	for _, out := range []**Output{&p.Stdout, &p.Stderr} {
		r, w, err := os.Pipe()
		if err != nil {
			return p, err
		}
		*out, files, opened = &Output{file: r}, append(files, w), append(opened, w)
	}
	for n := 0; ; n++ {
		p.proc, err = os.StartProcess(c.Path, c.Args, &os.ProcAttr{Dir: c.Dir, Env: c.Env, Files: files, Sys: groupAttr()})
		if !retryBusy(err, n) {
			break
		}
	}
	if err == nil {
		p.pid = p.proc.Pid
	}
	return p, err
}
