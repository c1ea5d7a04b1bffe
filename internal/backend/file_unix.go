//go:build unix

package backend

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// checkFile returns what is wrong with a file that is to be read.
func checkFile(f *os.File) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("it is not a regular file: %v", info.Mode())
	}
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var flags int
	if cerr := raw.Control(func(fd uintptr) { flags, err = unix.FcntlInt(fd, unix.F_GETFL, 0) }); err == nil {
		err = cerr
	}
	if err != nil {
		return os.NewSyscallError("fcntl", err)
	}
	if flags&unix.O_ACCMODE == unix.O_WRONLY || flags&pathOnly != 0 {
		return errors.New("it is not open for reading")
	}
	return nil
}
