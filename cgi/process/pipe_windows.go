package process

import (
	"crypto/rand"
	"os"
	"unsafe"

	"golang.org/x/sys/windows"
)

// pipeBuffer is how much a pipe holds, in bytes.
const pipeBuffer = 64 << 10

// newPipe returns a pipe: our end, which has deadlines because it is overlapped, and the end
// of a program, which is inheritable and not overlapped, as programs expect. Anonymous pipes
// have no deadlines. The name of the pipe cannot be guessed, it has room for one client, which
// is this process, and it admits none from other machines.
func newPipe(access uint32) (ours *os.File, theirs windows.Handle, err error) {
	text := `\\.\pipe\gatehouse-` + rand.Text()
	name, err := windows.UTF16PtrFromString(text)
	if err != nil {
		return nil, 0, err
	}
	server, err := windows.CreateNamedPipe(name, access|windows.FILE_FLAG_OVERLAPPED|windows.FILE_FLAG_FIRST_PIPE_INSTANCE,
		windows.PIPE_TYPE_BYTE|windows.PIPE_REJECT_REMOTE_CLIENTS, 1, pipeBuffer, pipeBuffer, 0, nil)
	if err != nil {
		return nil, 0, os.NewSyscallError("CreateNamedPipe", err)
	}
	client := uint32(windows.GENERIC_WRITE | windows.FILE_READ_ATTRIBUTES)
	if access == windows.PIPE_ACCESS_OUTBOUND {
		client = windows.GENERIC_READ | windows.FILE_WRITE_ATTRIBUTES
	}
	sa := windows.SecurityAttributes{InheritHandle: 1}
	sa.Length = uint32(unsafe.Sizeof(sa))
	theirs, err = windows.CreateFile(name, client, 0, &sa, windows.OPEN_EXISTING, 0, 0)
	if err != nil {
		windows.CloseHandle(server)
		return nil, 0, os.NewSyscallError("CreateFile", err)
	}
	return os.NewFile(uintptr(server), "pipe"), theirs, nil
}
