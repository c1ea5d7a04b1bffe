// Package namedpipe has connections over named pipes, which are Windows's alone.
package namedpipe

// An Addr is the name of a pipe, such as \\.\pipe\gatehouse. It is a [net.Addr] of both ends.
//
// [net.Addr]: https://pkg.go.dev/net#Addr
type Addr string

// Network implements net.Addr.
func (a Addr) Network() string { return "npipe" }

func (a Addr) String() string { return string(a) }
