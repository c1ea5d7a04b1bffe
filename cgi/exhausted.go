package cgi

import (
	"errors"
	"fmt"
	"net/http"
	"syscall"
	"time"
)

// exhaustedRetry is when a client may come again that the system had no room for.
const exhaustedRetry = 5 * time.Second

// Exhausted returns the StatusError for an error that says that this process or the system
// has run out of something: 503 with Retry-After, with the [Remedy] in its text. For any
// other error it returns nil.
func Exhausted(err error) *StatusError {
	remedy := Remedy(err)
	if remedy == "" {
		return nil
	}
	return &StatusError{Code: http.StatusServiceUnavailable, RetryAfter: exhaustedRetry, Err: fmt.Errorf("%w: %s", err, remedy), Check: "exhausted"}
}

// Remedy returns what to do about an error that says that this process or the system has
// run out of descriptors, memory or room on a disk. For any other error it returns "". What
// EAGAIN means depends on the call, so that its caller has to tell.
func Remedy(err error) string {
	var errno syscall.Errno
	if !errors.As(err, &errno) {
		return ""
	}
	switch errno {
	case syscall.EMFILE:
		return "this process has no free descriptor: raise LimitNOFILE= of its systemd unit (ulimit -n), or lower max_connections or programs"
	case syscall.ENFILE:
		return "the system has no free descriptor: raise fs.file-max (sysctl), or lower max_connections or programs"
	case syscall.ENOMEM, syscall.ENOBUFS:
		return "the system, or a limit of this process (MemoryMax=), has no memory left: raise it, or lower max_connections or programs"
	case syscall.ENOSPC, syscall.EDQUOT:
		return "make room on the disk, or raise the quota (df -h, df -i)"
	}
	return ""
}
