package daemon

import (
	"os"

	"golang.org/x/sys/unix"
)

// mayChown reports whether this process may give files to other users (CAP_CHOWN). Root
// in a container may lack that, and a service of another user may have it.
func mayChown() bool {
	head := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var sets [2]unix.CapUserData
	if err := unix.Capget(&head, &sets[0]); err != nil {
		return os.Geteuid() == 0
	}
	return sets[0].Effective&(1<<unix.CAP_CHOWN) != 0
}
