//go:build unix

package datagram

import (
	"errors"
	"syscall"
)

// tooLong reports whether a datagram was longer than the socket takes.
func tooLong(err error) bool { return errors.Is(err, syscall.EMSGSIZE) }
