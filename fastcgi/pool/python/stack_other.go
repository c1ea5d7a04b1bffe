//go:build !linux

package python

import "syscall"

const stackSignal = syscall.Signal(0)
