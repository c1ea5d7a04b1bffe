//go:build unix && !linux

package process

import "syscall"

func groupAttr() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

func (p *Process) signalLeader(s syscall.Signal) { syscall.Kill(p.pid, s) }

func (p *Process) termGroup() { syscall.Kill(-p.pid, syscall.SIGTERM) }
func (p *Process) killGroup() { syscall.Kill(-p.pid, syscall.SIGKILL) }
