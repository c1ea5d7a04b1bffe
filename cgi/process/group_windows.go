package process

import "syscall"

func groupAttr() *syscall.SysProcAttr { return &syscall.SysProcAttr{HideWindow: true} }

// Windows has no process groups to signal: the program itself is ended.
func (p *Process) termGroup() { p.proc.Kill() }
func (p *Process) killGroup() { p.proc.Kill() }
