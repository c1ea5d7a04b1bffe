package systemd

// A State says what a descriptor is.
type State uint8

const (
	// None: no socket, or a socket without an address, such as the socketpair that
	// sshd and others give a process as its standard input.
	None State = iota
	// Listening: a stream socket that accepts connections.
	Listening
	// Connected: a connected stream socket whose own end has a name.
	Connected
	// Other: a socket of any other kind, such as one for datagrams.
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

// A Socket is what the kernel says of a descriptor.
type Socket struct {
	State State

	// Network is "tcp", "unix", or "" for any other address family.
	Network string
}
