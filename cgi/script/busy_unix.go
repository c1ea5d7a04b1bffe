//go:build unix

package script

import "syscall"

const errBusy = syscall.ETXTBSY
