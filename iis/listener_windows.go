package iis

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"sync"
	"time"

	"gatehouse/internal/namedpipe"

	"golang.org/x/sys/windows"
)

// errSocket is for protocol="Tcp".
var errSocket = errors.New(`standard input is a socket, as IIS passes one for protocol="Tcp" in its fastCgi section: ` +
	`leave the default, protocol="NamedPipe"`)

// flushLimit is how long Close waits until the web server has read the end of a response.
const flushLimit = 2 * time.Second

// Started reports whether IIS's FastCGI module has started this process, or another process
// manager that passes a named pipe as standard input: that is the server end of a pipe, and
// _FCGI_X_PIPE_ is set, or there is no standard output and error. A socket counts, too, which
// Listen refuses.
func Started() bool { return findStdin() != nothing }

// A stdin says what standard input is.
type stdin uint8

const (
	nothing stdin = iota // that a web server would pass
	pipe                 // the server end of a pipe
	socket
)

func findStdin() stdin {
	h, err := windows.GetStdHandle(windows.STD_INPUT_HANDLE)
	if err != nil || invalid(h) {
		return nothing
	}
	if t, err := windows.GetFileType(h); err != nil || t != windows.FILE_TYPE_PIPE { // sockets are pipes here
		return nothing
	}
	if _, set := os.LookupEnv(pipeVariable); !set && !(noHandle(windows.STD_OUTPUT_HANDLE) && noHandle(windows.STD_ERROR_HANDLE)) {
		return nothing
	}
	var flags uint32
	if windows.GetNamedPipeInfo(h, &flags, nil, nil, nil) == nil {
		if flags&windows.PIPE_SERVER_END == 0 {
			return nothing
		}
		return pipe
	}
	if isSocket(h) {
		return socket
	}
	return nothing
}

func invalid(h windows.Handle) bool { return h == 0 || h == windows.InvalidHandle }

// noHandle reports whether the process has no such standard handle.
func noHandle(which uint32) bool {
	h, err := windows.GetStdHandle(which)
	return err != nil || invalid(h)
}

// isSocket reports whether h is a socket that has an address.
func isSocket(h windows.Handle) bool {
	var data windows.WSAData
	if windows.WSAStartup(0x202, &data) != nil {
		return false
	}
	defer windows.WSACleanup()
	_, err := windows.Getsockname(h)
	return err == nil
}

// A Listener is the pipe that a FastCGI application gets from IIS as its standard input, with
// the web server at its other end. The one connection lasts as long as the process. Other
// process managers connect again and again; they pass a mutex (_FCGI_MUTEX_), which Accept
// holds while it waits.
type Listener struct {
	name     string
	pipe     windows.Handle // to connect, flush and disconnect
	mutex    windows.Handle // 0 for none
	event    windows.Handle // that tells the process to end; 0 for none
	stop     windows.Handle // an event that Close sets
	file     *namedpipe.Conn
	shutdown chan struct{}
	watch    sync.WaitGroup // for event

	mu        sync.Mutex // guards what follows
	cond      sync.Cond
	connected bool // the web server is at the other end, and no conn has been made of that
	conn      *conn
	served    bool // the only connection has ended
	closed    bool
}

// Listen takes over the pipe on standard input, and puts NUL in its place. It gives the
// process a standard error (see [EnsureStderr]), and removes the variables that tell of the
// pipe, which are not for programs that it starts. It can be called once in a process. In a
// process that IIS has not started it returns ErrNotStarted.
func Listen() (*Listener, error) {
	found := findStdin()
	if found == nothing {
		return nil, ErrNotStarted
	}
	if _, err := EnsureStderr(); err != nil {
		return nil, err
	}
	if found == socket {
		return nil, errSocket
	}
	l := &Listener{name: os.Getenv(pipeVariable), shutdown: make(chan struct{})}
	if l.name == "" {
		l.name = "pipe on standard input"
	}
	l.cond.L = &l.mu
	for variable, h := range map[string]*windows.Handle{shutdownVariable: &l.event, mutexVariable: &l.mutex} {
		value, set := os.LookupEnv(variable)
		if !set {
			continue
		}
		n, err := parseHandle(variable, value)
		if err != nil {
			return nil, err
		}
		*h = windows.Handle(n)
		if err := windows.SetHandleInformation(*h, windows.HANDLE_FLAG_INHERIT, 0); err != nil {
			return nil, fmt.Errorf("%s is %s: %w", variable, value, err)
		}
	}
	var err error
	if l.stop, err = windows.CreateEvent(nil, 1, 0, nil); err != nil {
		return nil, err
	}
	if err := l.takePipe(); err != nil {
		windows.CloseHandle(l.stop)
		return nil, err
	}
	for _, variable := range []string{pipeVariable, shutdownVariable, mutexVariable} {
		os.Unsetenv(variable)
	}
	if l.event != 0 {
		l.watch.Go(l.awaitShutdown)
	}
	return l, nil
}

// takePipe takes over standard input. The first connection is made before the pipe belongs
// to Go's completion port, and that gets a duplicate, as os.NewFile does not take standard
// input for overlapped.
func (l *Listener) takePipe() error {
	passed, err := windows.GetStdHandle(windows.STD_INPUT_HANDLE)
	if err != nil {
		return err
	}
	if l.pipe, err = duplicate(passed); err != nil {
		return err
	}
	if l.mutex == 0 {
		if err := l.connect(); err != nil {
			return err
		}
	}
	own, err := duplicate(passed)
	if err != nil {
		return err
	}
	if l.file, err = namedpipe.NewConn(own, l.name); err != nil {
		return fmt.Errorf("standard input: %w", err)
	}
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	// Closing a file ends what is under way on it. So it must not be the garbage collector
	// that does it.
	os.Stdin.Close()
	os.Stdin = null
	if err := windows.SetStdHandle(windows.STD_INPUT_HANDLE, windows.Handle(null.Fd())); err != nil {
		return err
	}
	if noHandle(windows.STD_OUTPUT_HANDLE) {
		os.Stdout = null
		return windows.SetStdHandle(windows.STD_OUTPUT_HANDLE, windows.Handle(null.Fd()))
	}
	return nil
}

// duplicate returns another handle for what h is, which is not inherited.
func duplicate(h windows.Handle) (dup windows.Handle, err error) {
	self := windows.CurrentProcess()
	if err := windows.DuplicateHandle(self, h, self, &dup, 0, false, windows.DUPLICATE_SAME_ACCESS); err != nil {
		return 0, fmt.Errorf("standard input: %w", err)
	}
	return dup, nil
}

// Once reports whether there is one connection, after which Accept returns io.EOF.
func (l *Listener) Once() bool { return l.mutex == 0 }

// Shutdown returns a channel that is closed when IIS asks the process to end. It does so if
// signalBeforeTerminateSeconds is not 0, and ends the process when that many seconds have
// passed. Where there is only one connection, it is closed by the web server, too.
func (l *Listener) Shutdown() <-chan struct{} { return l.shutdown }

// awaitShutdown closes l.shutdown when the event is set.
func (l *Listener) awaitShutdown() {
	n, err := windows.WaitForMultipleObjects([]windows.Handle{l.event, l.stop}, false, windows.INFINITE)
	if err == nil && n == windows.WAIT_OBJECT_0 {
		close(l.shutdown)
	}
}

// Accept implements net.Listener.
func (l *Listener) Accept() (net.Conn, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for l.conn != nil && !l.closed {
		l.cond.Wait()
	}
	switch {
	case l.closed:
		return nil, net.ErrClosed
	case l.served:
		return nil, io.EOF
	case !l.connected:
		l.mu.Unlock()
		err := l.connect()
		l.mu.Lock()
		if err != nil {
			return nil, err
		}
		if l.closed {
			return nil, net.ErrClosed
		}
	}
	l.connected = false
	l.conn = &conn{Conn: l.file, l: l}
	l.conn.setDeadlines()
	return l.conn, nil
}

// connect waits for the web server at the other end of the pipe. It holds the mutex
// meanwhile, which belongs to a thread.
func (l *Listener) connect() error {
	if l.mutex != 0 {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		n, err := windows.WaitForMultipleObjects([]windows.Handle{l.stop, l.mutex}, false, windows.INFINITE)
		switch {
		case err != nil:
			return fmt.Errorf("%s: %w", mutexVariable, err)
		case n == windows.WAIT_OBJECT_0:
			return net.ErrClosed
		}
		defer windows.ReleaseMutex(l.mutex)
	}
	event, err := windows.CreateEvent(nil, 1, 0, nil)
	if err != nil {
		return err
	}
	defer windows.CloseHandle(event)
	for {
		err := l.connectOnce(event)
		switch err {
		case nil, windows.ERROR_PIPE_CONNECTED:
			l.mu.Lock()
			l.connected = true
			l.mu.Unlock()
			return nil
		case windows.ERROR_OPERATION_ABORTED:
			return net.ErrClosed
		case windows.ERROR_NO_DATA: // it has come and gone
			if l.mutex == 0 {
				return io.EOF
			}
			windows.DisconnectNamedPipe(l.pipe)
		default:
			return fmt.Errorf("%s: %w", l.name, err)
		}
	}
}

// connectOnce waits until the web server connects, or stop is set.
func (l *Listener) connectOnce(event windows.Handle) error {
	// The lowest bit keeps the result from the completion port.
	o := &windows.Overlapped{HEvent: event | 1}
	err := windows.ConnectNamedPipe(l.pipe, o)
	if err != windows.ERROR_IO_PENDING {
		return err
	}
	n, _ := windows.WaitForMultipleObjects([]windows.Handle{event, l.stop}, false, windows.INFINITE)
	if n != windows.WAIT_OBJECT_0 {
		windows.CancelIoEx(l.pipe, o)
	}
	var size uint32
	return windows.GetOverlappedResult(l.pipe, o, &size, true)
}

// Close implements net.Listener. A connection lives on.
func (l *Listener) Close() error {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return nil
	}
	l.closed = true
	l.cond.Broadcast()
	idle := l.conn == nil
	l.mu.Unlock()
	err := windows.SetEvent(l.stop)
	l.watch.Wait()
	if idle {
		l.disconnect()
		err = errors.Join(err, l.file.Close())
	}
	return err
}

// Addr implements net.Listener.
func (l *Listener) Addr() net.Addr { return namedpipe.Addr(l.name) }

// disconnect lets the web server read what has been written, for a moment, and closes the
// connection.
func (l *Listener) disconnect() {
	flushed := make(chan struct{})
	go func() {
		windows.FlushFileBuffers(l.pipe)
		close(flushed)
	}()
	limit := time.NewTimer(flushLimit)
	defer limit.Stop()
	select {
	case <-flushed:
	case <-limit.C:
	}
	windows.DisconnectNamedPipe(l.pipe) // which ends the flush
	<-flushed
}

// release is told that a connection has ended.
func (l *Listener) release() error {
	l.disconnect()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.conn, l.served = nil, l.mutex == 0
	l.cond.Broadcast()
	if l.closed {
		return l.file.Close()
	}
	return nil
}
