package process

import (
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/windows"
)

// Start starts a program with no handles but its three, in a job object of its own, which
// its children cannot leave. It runs in no console, so that a Ctrl-C for this process is
// none for the program.
func (*Launcher) Start(c *Command) (_ *Process, err error) {
	p := &Process{exited: make(chan struct{})}
	var theirs [3]windows.Handle // inheritable
	defer func() {
		for _, h := range theirs {
			if h != 0 {
				windows.CloseHandle(h)
			}
		}
		if err != nil {
			p.closePipes()
			p.release()
			err = &Error{OpStart, c.Path, err}
		}
	}()
	if c.Stdin != nil {
		theirs[0], err = inheritable(c.Stdin)
	} else {
		p.Stdin, theirs[0], err = newPipe(windows.PIPE_ACCESS_OUTBOUND)
	}
	if err != nil {
		return nil, err
	}
	for i, out := range []**Output{&p.Stdout, &p.Stderr} {
		var file *os.File
		if file, theirs[1+i], err = newPipe(windows.PIPE_ACCESS_INBOUND); err != nil {
			return nil, err
		}
		*out = &Output{file: file}
	}
	if p.job, err = newJob(); err != nil {
		return nil, err
	}
	var created windows.ProcessInformation
	for n := 0; ; n++ {
		if created, err = create(c, theirs); !retryBusy(err, n) {
			break
		}
	}
	if err != nil {
		return nil, err
	}
	defer windows.CloseHandle(created.Thread)
	p.handle, p.pid = created.Process, int(created.ProcessId)
	// It does not run yet, so no child of it is outside.
	if err = windows.AssignProcessToJobObject(p.job, p.handle); err == nil {
		_, err = windows.ResumeThread(created.Thread)
	}
	if err != nil {
		windows.TerminateProcess(p.handle, killed)
		return nil, fmt.Errorf("job object: %w", err)
	}
	return p, nil
}

// create creates the process, suspended.
func create(c *Command, handles [3]windows.Handle) (created windows.ProcessInformation, err error) {
	path, err := windows.UTF16PtrFromString(c.Path)
	if err != nil {
		return created, err
	}
	line, err := windows.UTF16PtrFromString(windows.ComposeCommandLine(c.Args))
	if err != nil {
		return created, err
	}
	var dir *uint16
	if c.Dir != "" {
		if dir, err = windows.UTF16PtrFromString(c.Dir); err != nil {
			return created, err
		}
	}
	env, err := environmentBlock(c.Env)
	if err != nil {
		return created, err
	}
	attributes, err := windows.NewProcThreadAttributeList(1)
	if err != nil {
		return created, err
	}
	defer attributes.Delete()
	if err := attributes.Update(windows.PROC_THREAD_ATTRIBUTE_HANDLE_LIST, unsafe.Pointer(&handles[0]), unsafe.Sizeof(handles)); err != nil {
		return created, err
	}
	startup := windows.StartupInfoEx{ProcThreadAttributeList: attributes.List()}
	startup.Cb = uint32(unsafe.Sizeof(startup))
	startup.Flags = windows.STARTF_USESTDHANDLES
	startup.StdInput, startup.StdOutput, startup.StdErr = handles[0], handles[1], handles[2]
	const flags = windows.CREATE_SUSPENDED | windows.CREATE_NO_WINDOW | windows.CREATE_UNICODE_ENVIRONMENT | windows.EXTENDED_STARTUPINFO_PRESENT
	err = windows.CreateProcess(path, line, nil, nil, true, flags, &env[0], dir, &startup.StartupInfo, &created)
	return created, err
}

// environmentBlock returns an environment in the form of CreateProcess: each variable ends in
// a NUL, and the block in another one.
func environmentBlock(vars []string) ([]uint16, error) {
	var block []uint16
	for _, v := range vars {
		text, err := windows.UTF16FromString(v)
		if err != nil {
			return nil, err
		}
		block = append(block, text...)
	}
	if len(block) == 0 {
		block = append(block, 0)
	}
	return append(block, 0), nil
}

// inheritable returns a handle for a file that a child may inherit.
func inheritable(f *os.File) (h windows.Handle, err error) {
	conn, err := f.SyscallConn()
	if err != nil {
		return 0, err
	}
	self := windows.CurrentProcess()
	failed := conn.Control(func(fd uintptr) {
		err = windows.DuplicateHandle(self, windows.Handle(fd), self, &h, 0, true, windows.DUPLICATE_SAME_ACCESS)
	})
	if failed != nil {
		return 0, failed
	}
	return h, err
}
