package gatehouse

import (
	"fmt"
	"os"

	"gatehouse/iis"
	"gatehouse/systemd"
)

// A StartKind says how a process was started.
type StartKind uint8

const (
	// Bare means with nothing to serve on.
	Bare StartKind = iota
	// ListeningStdin means with a listening socket on descriptor 0, as spawn-fcgi,
	// Apache's mod_fcgid, s6 and StandardInput=socket start FastCGI applications.
	ListeningStdin
	// Activated means with descriptors from systemd (LISTEN_FDS).
	Activated
	// CGIProgram means as a CGI program, for one request.
	CGIProgram
	// StartedByIIS means by IIS's HttpPlatformHandler or ASP.NET Core Module, to serve HTTP on
	// a port of loopback.
	StartedByIIS
	// ConnectedStdin means with a connection on descriptor 0, as from inetd, or from
	// systemd with Accept=yes and StandardInput=socket. Its protocol is SCGI.
	ConnectedStdin
	// IISPipe means with a named pipe as standard input, as the FastCGI module of IIS starts
	// programs.
	IISPipe
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
	case StartedByIIS:
		return "by a module of IIS"
	case ConnectedStdin:
		return "with a connection on descriptor 0"
	case IISPipe:
		return "by IIS's FastCGI module"
	}
	return "in an unknown way"
}

// A Start says what a process was started with.
type Start struct {
	Kind StartKind

	// Descriptors are the descriptors to serve: one for ListeningStdin and
	// ConnectedStdin, those of LISTEN_FDS for Activated, otherwise none.
	Descriptors []systemd.Descriptor

	// Unused are the descriptors of LISTEN_FDS if a listening socket on descriptor 0 takes
	// precedence over them.
	Unused []systemd.Descriptor

	// Module is the module of IIS for StartedByIIS, otherwise nil.
	Module *iis.Module
}

// FindStart finds out what the process p was started with. The first of these conditions
// that holds decides:
//
//  1. Descriptor 0 is a listening socket: FastCGI.
//  2. LISTEN_FDS is set and valid.
//  3. GATEWAY_INTERFACE and REQUEST_METHOD are set: a CGI program. Apache's mod_cgid
//     gives its programs a connected socket on descriptor 0, so this comes before 4.
//  4. A module of IIS has set a port to serve HTTP on (ASPNETCORE_PORT or
//     HTTP_PLATFORM_PORT).
//  5. Descriptor 0 is a connected socket whose local end has an address: SCGI.
//  6. Standard input is a named pipe from IIS's FastCGI module: FastCGI.
//
// It returns an error if LISTEN_FDS is meant for this process but cannot be used. Only
// the first call finds LISTEN_FDS, see [systemd.Process.Descriptors], and the token of
// IIS, see [FindModule].
func FindStart(p systemd.Process) (Start, error) {
	passed, err := p.Descriptors()
	if err != nil {
		return Start{}, err
	}
	inspect := p.Inspect
	if inspect == nil {
		inspect = systemd.Inspect
	}
	// A closed standard input counts as one that is not a socket.
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
	}
	module, err := FindModule(p)
	switch {
	case err != nil:
		return Start{}, err
	case module != nil:
		return Start{Kind: StartedByIIS, Module: module}, nil
	case stdin.State == systemd.Connected:
		return Start{Kind: ConnectedStdin, Descriptors: []systemd.Descriptor{zero}}, nil
	case iis.Started():
		return Start{Kind: IISPipe}, nil
	}
	return Start{}, nil
}

// FindModule returns the HTTP module of IIS that has started the process p, or nil. It removes
// the module's token from the environment, so that children do not have it, and only the
// first call finds it.
func FindModule(p systemd.Process) (*iis.Module, error) {
	m, err := iis.FindModule(p.LookupEnv)
	if m == nil || !m.HasToken() {
		return m, err
	}
	unset := p.Unsetenv
	if unset == nil {
		unset = os.Unsetenv
	}
	if err := unset(iis.TokenVariable); err != nil {
		return nil, fmt.Errorf("%s: %w", iis.TokenVariable, err)
	}
	return m, nil
}

// isCGI reports whether an environment is that of a CGI program (RFC 3875 § 4.1). If
// lookup is nil, it is the environment of this process.
func isCGI(lookup func(string) (string, bool)) bool {
	if lookup == nil {
		lookup = os.LookupEnv
	}
	_, gateway := lookup("GATEWAY_INTERFACE")
	_, method := lookup("REQUEST_METHOD")
	return gateway && method
}
