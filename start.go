package gatehouse

import (
	"os"

	"gatehouse/systemd"
)

// A StartKind says how a process was started.
type StartKind uint8

const (
	// Bare: with nothing to serve on.
	Bare StartKind = iota
	// ListeningStdin: with a listening socket on descriptor 0, as spawn-fcgi, Apache's
	// mod_fcgid, s6 and StandardInput=socket start a FastCGI application.
	ListeningStdin
	// Activated: with descriptors from systemd (LISTEN_FDS).
	Activated
	// CGIProgram: as a CGI program, for one request.
	CGIProgram
	// ConnectedStdin: with a connection on descriptor 0, as inetd does, and systemd with
	// Accept=yes and StandardInput=socket. It speaks SCGI.
	ConnectedStdin
)

func (k StartKind) String() string {
	switch k {
	case Bare:
		return "with nothing to serve on"
	case ListeningStdin:
		return "with a listening socket on descriptor 0"
	case Activated:
		return "by socket activation"
	case CGIProgram:
		return "as a CGI program"
	case ConnectedStdin:
		return "with a connection on descriptor 0"
	}
	return "in an unknown way"
}

// A Start is what a process was started with.
type Start struct {
	Kind StartKind

	// Descriptors are those to serve: one for ListeningStdin and ConnectedStdin, those
	// of LISTEN_FDS for Activated, otherwise none.
	Descriptors []systemd.Descriptor

	// Unused are descriptors of LISTEN_FDS that a listening socket on descriptor 0 had
	// precedence over.
	Unused []systemd.Descriptor
}

// FindStart finds out what the process was started with, which is p. The first of
// these that holds tells:
//
//  1. Descriptor 0 is a listening socket: FastCGI.
//  2. There are valid LISTEN_FDS.
//  3. GATEWAY_INTERFACE and REQUEST_METHOD are set: a CGI program. Apache's mod_cgid
//     gives its programs a connected socket on descriptor 0, so this comes before 4.
//  4. Descriptor 0 is a connected socket whose own end has a name: SCGI.
//
// An error means that LISTEN_FDS are meant for this process and cannot be used. They
// are found by the first call only; see [systemd.Process.Descriptors].
func FindStart(p systemd.Process) (Start, error) {
	passed, err := p.Descriptors()
	if err != nil {
		return Start{}, err
	}
	inspect := p.Inspect
	if inspect == nil {
		inspect = systemd.Inspect
	}
	// A process without a standard input was started with nothing on it.
	stdin, err := inspect(0)
	if err != nil {
		stdin = systemd.Socket{}
	}
	zero := systemd.Descriptor{FD: 0, Socket: stdin}
	switch {
	case stdin.State == systemd.Listening:
		return Start{Kind: ListeningStdin, Descriptors: []systemd.Descriptor{zero}, Unused: passed}, nil
	case len(passed) > 0:
		return Start{Kind: Activated, Descriptors: passed}, nil
	case isCGI(p.LookupEnv):
		return Start{Kind: CGIProgram}, nil
	case stdin.State == systemd.Connected:
		return Start{Kind: ConnectedStdin, Descriptors: []systemd.Descriptor{zero}}, nil
	}
	return Start{}, nil
}

// isCGI reports whether the environment, by default that of this process, is that of
// a CGI program (RFC 3875 § 4.1).
func isCGI(lookup func(string) (string, bool)) bool {
	if lookup == nil {
		lookup = os.LookupEnv
	}
	_, gateway := lookup("GATEWAY_INTERFACE")
	_, method := lookup("REQUEST_METHOD")
	return gateway && method
}
