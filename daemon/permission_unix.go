//go:build unix

package daemon

import (
	"os"
	"os/user"
	"strconv"

	"golang.org/x/sys/unix"
)

// The kernel decides what this process may do with a file (faccessat). It considers
// groups, capabilities, access lists and read-only file systems.

func mayWrite(file string) error { return access(file, unix.W_OK) }
func mayRun(file string) error   { return access(file, unix.X_OK) }
func maySearch(dir string) error { return access(dir, unix.X_OK) }
func mayCreate(dir string) error { return access(dir, unix.W_OK|unix.X_OK) }

func access(path string, mode uint32) error {
	return unix.Faccessat(unix.AT_FDCWD, path, mode, unix.AT_EACCESS)
}

// thisUser names the user of this process in a message.
func thisUser() string { return userName(os.Geteuid()) }

func userName(uid int) string {
	id := strconv.Itoa(uid)
	if u, err := user.LookupId(id); err == nil {
		return "user " + u.Username
	}
	return "user " + id
}
