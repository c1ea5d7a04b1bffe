//go:build !unix

package systemd

import "errors"

// CheckReadyFD returns an error: no supervisor of this system passes such descriptors.
func CheckReadyFD(int) error {
	return errors.New("readiness cannot be told on a descriptor on this system (ready-fd)")
}
