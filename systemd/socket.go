package systemd

// A State says what a descriptor is.
type State uint8

const (
	// None is no socket, or one without an address, such as the socketpair that sshd and
	// others give a process as standard input.
	None State = iota
	// Listening is a stream socket that accepts connections.
	Listening
	// Connected is a connected stream socket whose local end has an address.
	Connected
	// Other is a socket of any other kind, such as a datagram socket.
	Other
)

func (s State) String() string {
	switch s {
	case None:
		return "no socket"
	case Listening:
		return "a listening socket"
	case Connected:
		return "a connected socket"
	case Other:
		return "a socket of another kind"
	}
	return "unknown"
}

// A Socket is what the kernel reports about a descriptor.
type Socket struct {
	State State

	// Network is "tcp", "unix", or "" for any other address family.
	Network string
}
