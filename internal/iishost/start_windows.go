package iishost

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"unsafe"

	"gatehouse/internal/namedpipe"

	"golang.org/x/sys/windows"
)

// An Application is a running program. Its children end with it.
type Application struct {
	name    string // of the pipe
	conn    *namedpipe.Conn
	event   windows.Handle // that tells it to end
	mutex   windows.Handle
	job     windows.Handle
	process windows.Handle
	exited  chan struct{}
	closed  sync.Once
}

// pipeBytes is the size of the buffers of the pipe, in each direction.
const pipeBytes = 64 << 10

// Start starts a program. The caller closes the Application.
func Start(c Command) (*Application, error) {
	a := &Application{name: `\\.\pipe\gatehouse-` + rand.Text(), exited: make(chan struct{})}
	server, err := a.open(c)
	if err == nil {
		err = a.start(c, server)
	}
	if server != 0 {
		windows.CloseHandle(server)
	}
	if err != nil {
		a.release()
		return nil, err
	}
	go func() {
		defer close(a.exited)
		windows.WaitForSingleObject(a.process, windows.INFINITE)
	}()
	return a, nil
}

// open makes what the program gets, and returns the server end of the pipe.
func (a *Application) open(c Command) (server windows.Handle, err error) {
	inherited := &windows.SecurityAttributes{InheritHandle: 1}
	inherited.Length = uint32(unsafe.Sizeof(*inherited))
	name, err := windows.UTF16PtrFromString(a.name)
	if err != nil {
		return 0, err
	}
	server, err = windows.CreateNamedPipe(name,
		windows.PIPE_ACCESS_DUPLEX|windows.FILE_FLAG_OVERLAPPED|windows.FILE_FLAG_FIRST_PIPE_INSTANCE,
		windows.PIPE_TYPE_BYTE|windows.PIPE_READMODE_BYTE|windows.PIPE_WAIT|windows.PIPE_REJECT_REMOTE_CLIENTS,
		1, pipeBytes, pipeBytes, 0, inherited)
	if err != nil {
		return 0, &os.PathError{Op: "create", Path: a.name, Err: err}
	}
	if !c.NoEvent {
		if a.event, err = windows.CreateEvent(inherited, 1, 0, nil); err != nil {
			return server, err
		}
	}
	if c.Mutex {
		a.mutex, err = windows.CreateMutex(inherited, false, nil)
		return server, err
	}
	a.conn, err = namedpipe.Dial(a.name)
	return server, err
}

// start starts the process in a job, which ends its children with it.
func (a *Application) start(c Command, server windows.Handle) (err error) {
	if a.job, err = windows.CreateJobObject(nil, nil); err != nil {
		return err
	}
	var limits windows.JOBOBJECT_EXTENDED_LIMIT_INFORMATION
	limits.BasicLimitInformation.LimitFlags = windows.JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE
	if _, err := windows.SetInformationJobObject(a.job, windows.JobObjectExtendedLimitInformation,
		uintptr(unsafe.Pointer(&limits)), uint32(unsafe.Sizeof(limits))); err != nil {
		return err
	}
	handles := []windows.Handle{server}
	env := c.Env
	if env == nil {
		env = os.Environ()
	}
	env = env[:len(env):len(env)]
	if !c.NoName {
		env = append(env, "_FCGI_X_PIPE_="+a.name)
	}
	for name, h := range map[string]windows.Handle{"_FCGI_SHUTDOWN_EVENT_": a.event, "_FCGI_MUTEX_": a.mutex} {
		if h != 0 {
			handles = append(handles, h)
			env = append(env, name+"="+strconv.FormatUint(uint64(h), 10))
		}
	}
	attributes, err := windows.NewProcThreadAttributeList(1)
	if err != nil {
		return err
	}
	defer attributes.Delete()
	if err := attributes.Update(windows.PROC_THREAD_ATTRIBUTE_HANDLE_LIST,
		unsafe.Pointer(&handles[0]), uintptr(len(handles))*unsafe.Sizeof(handles[0])); err != nil {
		return err
	}
	si := &windows.StartupInfoEx{ProcThreadAttributeList: attributes.List()}
	si.Cb = uint32(unsafe.Sizeof(*si))
	si.Flags = windows.STARTF_USESTDHANDLES
	si.StdInput, si.StdOutput, si.StdErr = server, windows.InvalidHandle, windows.InvalidHandle
	path, err := windows.UTF16PtrFromString(c.Path)
	if err != nil {
		return err
	}
	line, err := windows.UTF16PtrFromString(strings.TrimSpace(windows.EscapeArg(c.Path) + " " + c.Arguments))
	if err != nil {
		return err
	}
	block, err := environment(env)
	if err != nil {
		return err
	}
	var dir *uint16
	if c.Dir != "" {
		if dir, err = windows.UTF16PtrFromString(c.Dir); err != nil {
			return err
		}
	}
	var pi windows.ProcessInformation
	if err := windows.CreateProcess(path, line, nil, nil, true,
		windows.CREATE_UNICODE_ENVIRONMENT|windows.EXTENDED_STARTUPINFO_PRESENT|windows.CREATE_SUSPENDED|windows.CREATE_NO_WINDOW,
		&block[0], dir, &si.StartupInfo, &pi); err != nil {
		return &os.PathError{Op: "start", Path: c.Path, Err: err}
	}
	defer windows.CloseHandle(pi.Thread)
	a.process = pi.Process
	if err := windows.AssignProcessToJobObject(a.job, a.process); err != nil {
		windows.TerminateProcess(a.process, 1)
		return err
	}
	_, err = windows.ResumeThread(pi.Thread)
	return err
}

// environment returns a block of variables in UTF-16, each with a NUL behind it, and one
// behind all of them.
func environment(env []string) ([]uint16, error) {
	var block []uint16
	for _, v := range env {
		u, err := windows.UTF16FromString(v)
		if err != nil {
			return nil, fmt.Errorf("variable %q: %w", v, err)
		}
		block = append(block, u...)
	}
	return append(block, 0, 0), nil
}

// Conn returns the connection to the program, which lasts as long as it does.
func (a *Application) Conn() net.Conn { return a.conn }

// Dial makes a connection to a program that was started with Mutex. One is possible at a
// time: until the program accepts it, the error is ERROR_PIPE_BUSY.
func (a *Application) Dial() (net.Conn, error) { return namedpipe.Dial(a.name) }

// Shutdown asks the program to end, by the event.
func (a *Application) Shutdown() error { return windows.SetEvent(a.event) }

// Exited returns a channel that is closed when the program has ended.
func (a *Application) Exited() <-chan struct{} { return a.exited }

// Wait waits until the program has ended, and returns its exit status.
func (a *Application) Wait(ctx context.Context) (status uint32, err error) {
	select {
	case <-a.exited:
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	}
	err = windows.GetExitCodeProcess(a.process, &status)
	return status, err
}

// Close closes the connection, and ends the program and its children.
func (a *Application) Close() error {
	var err error
	a.closed.Do(func() {
		err = windows.TerminateJobObject(a.job, 1)
		<-a.exited
		err = errors.Join(err, a.release())
	})
	return err
}

func (a *Application) release() (err error) {
	if a.conn != nil {
		err = a.conn.Close()
		if errors.Is(err, os.ErrClosed) {
			err = nil
		}
	}
	for _, h := range []windows.Handle{a.event, a.mutex, a.process, a.job} {
		if h != 0 {
			windows.CloseHandle(h)
		}
	}
	return err
}
