//go:build !linux

package pool

import (
	"errors"
	"net"
	"os"
)

// supported is why an App cannot be had on this system.
var supported = errors.New("fastcgi_exec: only on Linux: start the application by other means, and write fastcgi with its address")

type socket struct{}

func listen() (socket, *os.File, error)     { return socket{}, nil, supported }
func (socket) dial() (*net.UnixConn, error) { return nil, supported }
func (socket) close()                       {}
