//go:build !windows

package admin

import "syscall"

// errRefused is the error of connecting where nobody listens.
const errRefused = syscall.ECONNREFUSED
