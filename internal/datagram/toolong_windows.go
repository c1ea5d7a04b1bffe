package datagram

import (
	"errors"

	"golang.org/x/sys/windows"
)

// tooLong reports whether a datagram was longer than the socket takes.
func tooLong(err error) bool { return errors.Is(err, windows.WSAEMSGSIZE) }
