//go:build !windows

package iishost

import (
	"context"
	"errors"
	"net"
)

// An Application is a running program.
type Application struct{}

// Start returns an error: IIS runs on Windows alone.
func Start(Command) (*Application, error) {
	return nil, errors.New("a program for IIS runs on Windows alone")
}

// Conn returns the connection to it.
func (a *Application) Conn() net.Conn { return nil }

// Exited returns a channel that is closed when the program has ended.
func (a *Application) Exited() <-chan struct{} { return nil }

// Shutdown asks the program to end.
func (a *Application) Shutdown() error { return errors.ErrUnsupported }

// Wait returns the exit status of the program.
func (a *Application) Wait(context.Context) (uint32, error) { return 0, errors.ErrUnsupported }

// Close ends the program.
func (a *Application) Close() error { return nil }
