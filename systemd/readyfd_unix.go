//go:build unix

package systemd

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// CheckReadyFD returns an error if fd is not a descriptor of this process to tell readiness
// on, as in the notification-fd of s6. It keeps programs from inheriting it.
func CheckReadyFD(fd int) error {
	if fd < 3 {
		return fmt.Errorf("%d is no descriptor to tell readiness on: it must be 3 or more (ready-fd)", fd)
	}
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_SETFD, unix.FD_CLOEXEC); err != nil {
		return fmt.Errorf("descriptor %d, to tell readiness on, is not open: write the number that the supervisor passes, such as that in notification-fd of s6 (ready-fd)", fd)
	}
	return nil
}
