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

func userName(uid int) string { return "user " + accountName(uid) }

// accountName returns the name of a user, or the number if it has none.
func accountName(uid int) string {
	id := strconv.Itoa(uid)
	if u, err := user.LookupId(id); err == nil {
		return u.Username
	}
	return id
}

// groupName returns the name of a group, or the number if it has none.
func groupName(gid int) string {
	id := strconv.Itoa(gid)
	if g, err := user.LookupGroupId(id); err == nil {
		return g.Name
	}
	return id
}
