package backend

import "golang.org/x/sys/unix"

// pathOnly is the flag of a descriptor that names a file, and cannot be read.
const pathOnly = unix.O_PATH
