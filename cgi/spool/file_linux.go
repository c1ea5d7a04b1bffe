package spool

import (
	"os"

	"golang.org/x/sys/unix"
)

// create opens a file in dir that has no name. File systems without O_TMPFILE
// (overlayfs of older kernels, NFS) get a named one that is unlinked at once.
func create(dir string) (*os.File, error) {
	fd, err := unix.Open(dir, unix.O_TMPFILE|unix.O_RDWR|unix.O_EXCL|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return createNamed(dir)
	}
	return os.NewFile(uintptr(fd), dir+"/spool"), nil
}
