//go:build unix

package main

import (
	"io/fs"

	"golang.org/x/sys/unix"
)

// socketMode returns the mode that bind(2) gives a unix socket under the current umask.
// It must be called before anything else creates files.
func socketMode() fs.FileMode {
	umask := unix.Umask(0o077)
	unix.Umask(umask)
	return 0o777 &^ fs.FileMode(umask)
}
