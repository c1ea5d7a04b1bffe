package daemon

import (
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"runtime"
	"strconv"
	"strings"
)

// An AddressKind says how an Address is written.
type AddressKind uint8

// The kinds of addresses.
const (
	AddressTCP        AddressKind = iota // HOST:PORT or :PORT
	AddressUnix                          // unix:PATH
	AddressDescriptor                    // fd:N
	AddressSystemd                       // systemd:NAME
	AddressPipe                          // npipe:NAME, on Windows
)

// An Address is where a daemon listens.
type Address struct {
	Kind AddressKind

	Host string // AddressTCP; empty means every address of this machine
	Port uint16 // 0 means any free port

	Path  string      // AddressUnix; at most 107 bytes
	Mode  fs.FileMode // permissions; 0660 by default
	Owner string      // name or number; empty means that of this process
	Group string      // as Owner

	FD   int    // AddressDescriptor
	Name string // AddressSystemd: FileDescriptorName=. AddressPipe: without \\.\pipe\

	// SDDL is the security descriptor of an AddressPipe. If it is empty, the system, the
	// administrators and the user of this process may connect.
	SDDL string

	// HalfClose says that TCP peers shut down their writing side after a request and
	// wait for the response.
	HalfClose bool
}

// maxPath is the length of sun_path on Linux, without the final NUL. Other systems have
// 103 bytes, and fail to bind longer paths.
const maxPath = 107

// defaultMode lets only the owner and the group connect, because whoever can connect can
// set every variable.
const defaultMode fs.FileMode = 0o660

// addressForms lists the forms of addresses for messages.
const addressForms = "write unix:PATH, HOST:PORT, :PORT, fd:N or systemd:NAME"

// ParseAddress reads
//
//	unix:PATH[,mode=0660][,owner=U][,group=G]
//	HOST:PORT[,half_close=true]
//	:PORT[,half_close=true]
//	fd:N[,half_close=true]
//	systemd:NAME[,half_close=true]
//	npipe:NAME[,sddl=SDDL]
func ParseAddress(s string) (Address, error) {
	text, options, _ := strings.Cut(s, ",")
	scheme, rest, found := strings.Cut(text, ":")
	var a Address
	var err error
	switch {
	case s == "":
		err = fmt.Errorf("empty address: %s", addressForms)
	case scheme == "unix" && found:
		a, err = parseUnix(rest)
	case scheme == "fd" && found:
		a, err = parseDescriptor(rest)
	case scheme == "systemd" && found:
		a = Address{Kind: AddressSystemd, Name: rest}
		if rest == "" {
			err = fmt.Errorf("%q has no name: write systemd:NAME with the FileDescriptorName= of the socket unit", s)
		}
	case scheme == "npipe" && found && runtime.GOOS == "windows":
		a, err = parsePipe(rest)
	case scheme == "npipe" && found:
		err = fmt.Errorf("%q: named pipes exist on Windows only: write unix:PATH", s)
	case strings.Contains(text, "/"):
		err = fmt.Errorf("%q is not an address: for a unix socket write unix:%s", s, text)
	default:
		a, err = parseTCP(text)
	}
	if err != nil {
		return Address{}, err
	}
	if options == "" {
		if strings.HasSuffix(s, ",") {
			return Address{}, fmt.Errorf("%q ends with a comma", s)
		}
		return a, nil
	}
	given := make(map[string]bool)
	for option := range strings.SplitSeq(options, ",") {
		err := a.setOption(option)
		name, _, _ := strings.Cut(option, "=")
		if err == nil && given[name] {
			err = fmt.Errorf("%q is given twice: remove one", name)
		}
		if err != nil {
			return Address{}, fmt.Errorf("%q: %w", s, err)
		}
		given[name] = true
	}
	return a, nil
}

func parseUnix(path string) (Address, error) {
	switch {
	case path == "":
		return Address{}, fmt.Errorf("unix: has no path: write unix:PATH")
	case strings.HasPrefix(path, "@"):
		return Address{}, fmt.Errorf("unix:%s: an abstract socket has no permissions, anyone could connect: write a path", path)
	case strings.IndexByte(path, 0) >= 0:
		return Address{}, fmt.Errorf("%q: NUL byte in a path", "unix:"+path)
	case strings.HasSuffix(path, "/"):
		return Address{}, fmt.Errorf("unix:%s is a directory: write the path of a socket in it", path)
	case len(path) > maxPath:
		return Address{}, fmt.Errorf("unix:%s: the path is %d bytes long, a unix socket's at most %d: write a shorter one", path, len(path), maxPath)
	}
	return Address{Kind: AddressUnix, Path: path, Mode: defaultMode}, nil
}

// maxPipe is the length of the name of a pipe, without \\.\pipe\.
const maxPipe = 247

func parsePipe(name string) (Address, error) {
	name = strings.TrimPrefix(name, `\\.\pipe\`)
	switch {
	case name == "":
		return Address{}, fmt.Errorf("npipe: has no name: write npipe:NAME")
	case strings.ContainsAny(name, "/\\\x00"):
		return Address{}, fmt.Errorf(`npipe:%s: the name of a pipe has no slashes: write npipe:NAME for \\.\pipe\NAME`, name)
	case len(name) > maxPipe:
		return Address{}, fmt.Errorf("npipe:%s: the name is %d bytes long, that of a pipe at most %d: write a shorter one", name, len(name), maxPipe)
	}
	return Address{Kind: AddressPipe, Name: name}, nil
}

func parseDescriptor(s string) (Address, error) {
	n, err := strconv.ParseUint(s, 10, 31)
	if err != nil {
		return Address{}, fmt.Errorf("fd:%s: %q is not the number of a descriptor", s, s)
	}
	if n == 1 || n == 2 {
		return Address{}, fmt.Errorf("fd:%d is standard output or error: pass the socket as another descriptor", n)
	}
	return Address{Kind: AddressDescriptor, FD: int(n)}, nil
}

func parseTCP(s string) (Address, error) {
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		if n := strings.Count(s, ":"); n > 1 && !strings.HasPrefix(s, "[") {
			return Address{}, fmt.Errorf("%q is not an address: write an IPv6 address in brackets, such as [::1]:9000", s)
		}
		return Address{}, fmt.Errorf("%q is not an address: %s", s, addressForms)
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return Address{}, fmt.Errorf("%q: %q is not a port, a number from 0 to 65535", s, port)
	}
	if host == "*" {
		host = ""
	}
	return Address{Kind: AddressTCP, Host: host, Port: uint16(n)}, nil
}

// setOption sets an option, which follows an address after a comma.
func (a *Address) setOption(option string) error {
	name, value, _ := strings.Cut(option, "=")
	unix := name == "mode" || name == "owner" || name == "group"
	switch {
	case unix && a.Kind != AddressUnix:
		return fmt.Errorf("%q is for unix sockets", name)
	case name == "sddl" && a.Kind != AddressPipe:
		return fmt.Errorf("%q is for named pipes", name)
	case name == "half_close" && a.Kind == AddressPipe:
		return fmt.Errorf("%q is for TCP: a named pipe cannot be half closed", name)
	case name == "sddl" && value == "":
		return fmt.Errorf("%q has no value: write %s=…", name, name)
	case name == "half_close" && a.Kind == AddressUnix:
		return fmt.Errorf("%q is for TCP: on unix sockets it is always on", name)
	case unix && value == "":
		return fmt.Errorf("%q has no value: write %s=…", name, name)
	}
	switch name {
	case "mode":
		n, err := strconv.ParseUint(value, 8, 32)
		if err != nil || n > 0o777 {
			return fmt.Errorf("%q is not a mode: write octal digits from 0000 to 0777, such as mode=0660", value)
		}
		a.Mode = fs.FileMode(n)
	case "owner":
		a.Owner = value
	case "group":
		a.Group = value
	case "sddl":
		a.SDDL = value
	case "half_close":
		on, err := strconv.ParseBool(value)
		if err != nil {
			return fmt.Errorf("half_close is %q: write half_close=true or half_close=false", value)
		}
		a.HalfClose = on
	default:
		msg := fmt.Sprintf("unknown option %q", name)
		if hint := Suggest(name, []string{"mode", "owner", "group", "half_close", "sddl"}); hint != "" {
			msg += ": " + hint
		} else {
			msg += ": write mode=, owner= or group= after a unix socket, half_close= after a port"
		}
		return fmt.Errorf("%s", msg)
	}
	return nil
}

// onlyRoot reports whether a is a socket of root's, made by root, that nobody else may
// connect to, and that nobody has asked to be so.
func (a Address) onlyRoot() bool {
	return a.Kind == AddressUnix && a.Mode == defaultMode && a.Owner == "" && a.Group == "" && os.Geteuid() == 0 && os.Getegid() == 0
}

// String returns the address in the form that ParseAddress reads.
func (a Address) String() string {
	var s string
	switch a.Kind {
	case AddressTCP:
		s = net.JoinHostPort(a.Host, strconv.Itoa(int(a.Port)))
	case AddressUnix:
		s = "unix:" + a.Path
		if a.Mode != defaultMode {
			s += fmt.Sprintf(",mode=%04o", a.Mode)
		}
		if a.Owner != "" {
			s += ",owner=" + a.Owner
		}
		if a.Group != "" {
			s += ",group=" + a.Group
		}
	case AddressDescriptor:
		s = "fd:" + strconv.Itoa(a.FD)
	case AddressSystemd:
		s = "systemd:" + a.Name
	case AddressPipe:
		s = "npipe:" + a.Name
		if a.SDDL != "" {
			s += ",sddl=" + a.SDDL
		}
	}
	if a.HalfClose {
		s += ",half_close=true"
	}
	return s
}

// ParseAllow reads the network ("10.0.0.0/8") or the single address of peers that may
// connect.
func ParseAllow(s string) (netip.Prefix, error) {
	if ip, err := netip.ParseAddr(s); err == nil {
		ip = ip.Unmap()
		return ip.WithZone("").Prefix(ip.BitLen())
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("%q is not a network: write an address or a prefix, such as 192.0.2.7 or 10.0.0.0/8", s)
	}
	if p.Addr().Is4In6() {
		return netip.Prefix{}, fmt.Errorf("%q is an IPv4 network in IPv6 form: write it as IPv4", s)
	}
	return p.Masked(), nil
}
