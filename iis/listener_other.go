//go:build !windows

package iis

import (
	"net"
	"os"
)

// Started reports whether IIS's FastCGI module has started this process, or another process
// manager that passes a named pipe as standard input. It is false on other systems than
// Windows.
func Started() bool { return false }

// A Listener is the pipe that a FastCGI application gets from IIS. There are none on other
// systems than Windows.
type Listener struct{ shutdown chan struct{} }

// Listen returns ErrNotStarted.
func Listen() (*Listener, error) { return nil, ErrNotStarted }

// Once reports whether there is one connection.
func (l *Listener) Once() bool { return true }

// Shutdown returns a channel that is closed when IIS asks the process to end.
func (l *Listener) Shutdown() <-chan struct{} { return l.shutdown }

// Accept implements net.Listener.
func (l *Listener) Accept() (net.Conn, error) { return nil, net.ErrClosed }

// Close implements net.Listener.
func (l *Listener) Close() error { return nil }

// Addr implements net.Listener.
func (l *Listener) Addr() net.Addr { return nil }

// EnsureStderr gives the process a standard error if it has none, as Windows alone can have
// it.
func EnsureStderr() (*os.File, error) { return os.Stderr, nil }
