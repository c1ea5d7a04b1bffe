//go:build unix

package main

import (
	"io/fs"

	"golang.org/x/sys/unix"
)

// socketMode is the mode that a unix socket gets of bind(2): what the umask leaves.
// It is called before anything else makes files.
func socketMode() fs.FileMode {
	umask := unix.Umask(0o077)
	unix.Umask(umask)
	return 0o777 &^ fs.FileMode(umask)
}
