//go:build unix && !linux

package script

import "syscall"

func groupAttr() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

func (p *process) termGroup() { syscall.Kill(-p.pid, syscall.SIGTERM) }
func (p *process) killGroup() { syscall.Kill(-p.pid, syscall.SIGKILL) }
