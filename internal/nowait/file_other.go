//go:build !linux

package nowait

import (
	"os"
	"syscall"
)

// files do not exist here.
type files struct{}

func (*files) read(uintptr, []byte) (int, error) { return 0, syscall.ENOTSUP }

// ReceiveFiles does nothing here: the system closes what is sent.
func (c *Conn) ReceiveFiles() {}

// TakeFile returns nil here.
func (c *Conn) TakeFile() (*os.File, error) { return nil, nil }
