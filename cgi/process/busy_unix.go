//go:build unix

package process

import "syscall"

// ErrBusy is the error of the system for a program that somebody is writing.
const ErrBusy = syscall.ETXTBSY
