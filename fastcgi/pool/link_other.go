//go:build !linux

package pool

import (
	"errors"
	"os"
)

// supported is why an App cannot be had on this system.
var supported = errors.New("fastcgi_exec: only on Linux: start the application by other means, and write fastcgi with its address")

func listen() (link, *os.File, error) { return nil, nil, supported }
func pair([]byte) linker              { return listen }
