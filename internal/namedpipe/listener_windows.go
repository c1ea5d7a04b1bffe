package namedpipe

import (
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"unsafe"

	"golang.org/x/sys/windows"
)

// buffer is how much the system keeps of what one end has written and the other has not read,
// in bytes.
const buffer = 64 << 10

// A Listener accepts connections to a named pipe. It is a [net.Listener].
type Listener struct {
	name     Addr
	text     *uint16
	security *windows.SECURITY_DESCRIPTOR
	connect  windows.Handle // event: a client has connected
	closing  windows.Handle // event: Close has been called

	accepting sync.Mutex     // held by Accept, and by Close at its end
	next      windows.Handle // the instance for the next client; 0 for none. Guarded by accepting
	once      sync.Once
}

// Listen makes a named pipe, which must not exist: name begins with \\.\pipe\. The security
// descriptor, in SDDL, says who may connect; other machines cannot.
func Listen(name, sddl string) (*Listener, error) {
	l := &Listener{name: Addr(name)}
	var err error
	if l.text, err = windows.UTF16PtrFromString(name); err != nil {
		return nil, err
	}
	if l.security, err = windows.SecurityDescriptorFromString(sddl); err != nil {
		return nil, fmt.Errorf("security descriptor %q: %w", sddl, err)
	}
	if l.next, err = l.instance(windows.FILE_FLAG_FIRST_PIPE_INSTANCE); err != nil {
		return nil, err
	}
	for _, event := range []*windows.Handle{&l.connect, &l.closing} {
		if *event, err = windows.CreateEvent(nil, 1, 0, nil); err != nil {
			l.release()
			return nil, os.NewSyscallError("CreateEvent", err)
		}
	}
	return l, nil
}

// instance makes an instance of the pipe, which waits for a client.
func (l *Listener) instance(flags uint32) (windows.Handle, error) {
	sa := windows.SecurityAttributes{SecurityDescriptor: l.security}
	sa.Length = uint32(unsafe.Sizeof(sa))
	h, err := windows.CreateNamedPipe(l.text, flags|windows.PIPE_ACCESS_DUPLEX|windows.FILE_FLAG_OVERLAPPED,
		windows.PIPE_TYPE_BYTE|windows.PIPE_REJECT_REMOTE_CLIENTS, windows.PIPE_UNLIMITED_INSTANCES, buffer, buffer, 0, &sa)
	if err != nil {
		return 0, os.NewSyscallError("CreateNamedPipe", err)
	}
	return h, nil
}

// Accept implements net.Listener.
func (l *Listener) Accept() (net.Conn, error) {
	l.accepting.Lock()
	defer l.accepting.Unlock()
	for {
		if err := l.checkOpen(); err != nil {
			return nil, err
		}
		if l.next == 0 { // there was none to be had
			var err error
			if l.next, err = l.instance(0); err != nil {
				return nil, err
			}
		}
		switch err := l.await(); {
		case errors.Is(err, windows.ERROR_NO_DATA): // it has come and gone
			windows.CloseHandle(l.next)
			l.next = 0
			continue
		case err != nil:
			return nil, err
		}
		// The next instance is there before this client is served, so that others find one.
		h := l.next
		l.next, _ = l.instance(0)
		return NewConn(h, string(l.name))
	}
}

// await waits until a client has connected to the next instance.
func (l *Listener) await() error {
	overlapped := &windows.Overlapped{HEvent: l.connect}
	if err := windows.ResetEvent(l.connect); err != nil {
		return net.ErrClosed
	}
	err := windows.ConnectNamedPipe(l.next, overlapped)
	switch {
	case err == nil, errors.Is(err, windows.ERROR_PIPE_CONNECTED):
		return l.checkOpen()
	case !errors.Is(err, windows.ERROR_IO_PENDING):
		return os.NewSyscallError("ConnectNamedPipe", err)
	}
	_, _ = windows.WaitForMultipleObjects([]windows.Handle{l.closing, l.connect}, false, windows.INFINITE)
	closed := l.checkOpen()
	if closed != nil {
		_ = windows.CancelIoEx(l.next, overlapped)
	}
	var n uint32
	err = windows.GetOverlappedResult(l.next, overlapped, &n, true) // until then the system may write to overlapped
	if closed != nil {
		return closed
	}
	return os.NewSyscallError("ConnectNamedPipe", err)
}

func (l *Listener) checkOpen() error {
	if event, err := windows.WaitForSingleObject(l.closing, 0); err != nil || event == windows.WAIT_OBJECT_0 {
		return net.ErrClosed
	}
	return nil
}

// Close implements net.Listener. Accept returns net.ErrClosed, and the connections stay.
func (l *Listener) Close() error {
	err := net.ErrClosed
	l.once.Do(func() {
		windows.SetEvent(l.closing)
		l.accepting.Lock()
		defer l.accepting.Unlock()
		l.release()
		err = nil
	})
	return err
}

// release closes all handles.
func (l *Listener) release() {
	for _, h := range []*windows.Handle{&l.next, &l.connect, &l.closing} {
		if *h != 0 {
			windows.CloseHandle(*h)
			*h = 0
		}
	}
}

// Addr implements net.Listener.
func (l *Listener) Addr() net.Addr { return l.name }
