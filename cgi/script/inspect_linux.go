package script

import (
	"golang.org/x/sys/unix"

	"gatehouse/systemd/sandbox"
)

// isNoexec reports whether the file system of path lets nothing be executed.
func isNoexec(path string) bool {
	var st unix.Statfs_t
	return unix.Statfs(path, &st) == nil && st.Flags&unix.ST_NOEXEC != 0
}

// mountPoint returns where the file system of path is mounted, as far as /proc tells.
func mountPoint(path string) string {
	if at := sandbox.MountPoint(path); at != "" {
		return at
	}
	return "above it"
}
