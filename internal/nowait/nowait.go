// Package nowait reads and writes sockets by system calls that return at once.
//
// Package syscall tells the scheduler of Go about each call, in case it blocks. If the kernel
// lets another process run meanwhile, as it likes to do after a write that wakes one, the
// scheduler hands the processor's place to another thread, for which it starts or wakes one:
// on a busy machine that cost a fifth of a small request. A call that cannot block needs none
// of it. The caller waits for readiness by the poller of package net, through a
// syscall.RawConn.
//
// Such a call keeps its thread from stopping for the garbage collector until it has copied what
// the buffer of the socket has, or takes.
package nowait

import "errors"

// Most is how many bytes a call moves at most, but for those with a Vector.
const Most = 128 << 10

// ErrFiles is that more descriptors were sent along with bytes than one, or one before the last
// was taken. All of them have been closed.
var ErrFiles = errors.New("more than one file was sent")

// ErrPipeFull is that a pipe has no room.
var ErrPipeFull = errors.New("the pipe is full")
