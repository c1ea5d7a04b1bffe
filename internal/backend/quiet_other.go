//go:build !unix

package backend

import "net"

// A look does not tell anything here: that a connection has ended shows when it is used.
type look struct{}

func (*look) at(net.Conn) bool { return true }
