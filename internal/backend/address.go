// Package backend has what the clients of applications share that listen by themselves:
// addresses and which of them are alive, connections and how many there may be, the body of
// a request on its way, and the limits of time of a response. It knows no wire format.
//
//	c, err := pool.Enter(ctx, remote)   // waits for its turn
//	defer c.Leave()
//	err = c.Connect(ctx)                // to the least busy address that works
//	output := backend.Output{Source: …} // what a relay.Relay reads
package backend

import (
	"fmt"
	"net"
	"runtime"
	"strconv"
	"strings"
)

// An Address is where an application listens.
type Address struct {
	Network string // "unix", "tcp" or, on Windows, "npipe"
	Address string // a path, HOST:PORT, or the name of a pipe with \\.\pipe\
}

// addressForms lists the forms of addresses for messages.
const addressForms = "write unix:PATH or HOST:PORT"

// maxPath is the length of sun_path on Linux, without the final NUL.
const maxPath = 107

// pipes is where Windows has named pipes.
const pipes = `\\.\pipe\`

// ParseAddress reads unix:PATH, HOST:PORT or, on Windows, npipe:NAME.
func ParseAddress(s string) (Address, error) {
	if name, ok := strings.CutPrefix(s, "npipe:"); ok {
		name = strings.TrimPrefix(name, pipes)
		switch {
		case runtime.GOOS != "windows":
			return Address{}, fmt.Errorf("%q: named pipes exist on Windows only: write unix:PATH", s)
		case name == "" || strings.ContainsAny(name, "/\\\x00"):
			return Address{}, fmt.Errorf("%q: write npipe:NAME, without slashes", s)
		}
		return Address{"npipe", pipes + name}, nil
	}
	if path, ok := strings.CutPrefix(s, "unix:"); ok {
		switch {
		case path == "":
			return Address{}, fmt.Errorf("%q has no path: write unix:PATH", s)
		case strings.IndexByte(path, 0) >= 0:
			return Address{}, fmt.Errorf("%q: NUL byte in a path", s)
		case len(path) > maxPath:
			return Address{}, fmt.Errorf("%s: the path is %d bytes long, a unix socket's at most %d: write a shorter one", s, len(path), maxPath)
		}
		return Address{"unix", path}, nil
	}
	host, port, err := net.SplitHostPort(s)
	switch {
	case strings.HasPrefix(s, "/"):
		return Address{}, fmt.Errorf("%q is not an address: for a unix socket write unix:%s", s, s)
	case err != nil:
		return Address{}, fmt.Errorf("%q is not the address of an application: %s", s, addressForms)
	case host == "":
		return Address{}, fmt.Errorf("%q has no host: write 127.0.0.1%s for this machine", s, s)
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return Address{}, fmt.Errorf("%q: the port %q is not a number from 1 to 65535", s, port)
	}
	return Address{"tcp", s}, nil
}

// String returns the address in the form that ParseAddress reads.
func (a Address) String() string {
	if a.Network == "unix" {
		return "unix:" + a.Address
	}
	if a.Network == "npipe" {
		return "npipe:" + strings.TrimPrefix(a.Address, pipes)
	}
	return a.Address
}
