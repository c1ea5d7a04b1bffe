package script

import "syscall"

func groupAttr() *syscall.SysProcAttr { return &syscall.SysProcAttr{HideWindow: true} }

// Windows has no process groups to signal: the program itself is ended.
func (p *process) termGroup() { p.proc.Kill() }
func (p *process) killGroup() { p.proc.Kill() }
