package daemon

import (
	"errors"
	"fmt"
	"net"

	"gatehouse/internal/namedpipe"

	"golang.org/x/sys/windows"
)

// listenPipe opens a named pipe. Nobody can take its name as long as it is open, and no other
// machine can connect.
func listenPipe(a Address) (net.Listener, error) {
	sddl, err := a.sddl()
	if err != nil {
		return nil, fmt.Errorf("npipe:%s: %w", a.Name, err)
	}
	l, err := namedpipe.Listen(`\\.\pipe\`+a.Name, sddl)
	switch {
	case err == nil:
		return l, nil
	case errors.Is(err, windows.ERROR_ACCESS_DENIED), errors.Is(err, windows.ERROR_ALREADY_EXISTS), errors.Is(err, windows.ERROR_PIPE_BUSY):
		return nil, fmt.Errorf("npipe:%s %w: stop it, or choose another name", a.Name, errPortInUse)
	}
	return nil, fmt.Errorf("npipe:%s: %w", a.Name, bare(err))
}

// sddl returns the security descriptor. By default Windows would let everybody read.
func (a Address) sddl() (string, error) {
	if a.SDDL != "" {
		return a.SDDL, nil
	}
	user, err := windows.GetCurrentProcessToken().GetTokenUser()
	if err != nil {
		return "", fmt.Errorf("the user of this process: %w", err)
	}
	return "D:P(A;;GA;;;SY)(A;;GA;;;BA)(A;;GA;;;" + user.User.Sid.String() + ")", nil
}

// checkPipe returns what is wrong with the security descriptor of a named pipe.
func (a Address) checkPipe() error {
	if a.SDDL == "" {
		return nil
	}
	if _, err := windows.SecurityDescriptorFromString(a.SDDL); err != nil {
		return fmt.Errorf("npipe:%s: %q is no security descriptor (SDDL): %w: write one such as D:P(A;;GA;;;SY)(A;;GA;;;BA)", a.Name, a.SDDL, err)
	}
	return nil
}
