package record

import (
	"encoding/binary"
	"errors"
	"strconv"
)

// Errors of the two fixed bodies.
var (
	// ErrBeginLength is returned by ParseBegin for a body that is too short.
	ErrBeginLength = errors.New("fastcgi: BEGIN_REQUEST body is shorter than 8 bytes")

	// ErrEndLength is returned by ParseEnd for a body that is too short.
	ErrEndLength = errors.New("fastcgi: END_REQUEST body is shorter than 8 bytes")
)

// bodyLen is the length in bytes of the bodies of BEGIN_REQUEST, END_REQUEST
// and UNKNOWN_TYPE.
const bodyLen = 8

// Role is the part an application is asked to play in a request (FastCGI 1.0
// § 6). Any other number is legal on the wire and is answered by
// [UnknownRole].
type Role uint16

// The roles.
const (
	Responder  Role = 1
	Authorizer Role = 2
	Filter     Role = 3
)

// String returns the specification's name, such as FCGI_RESPONDER, or
// "role 4" for a number that has none.
func (r Role) String() string {
	switch r {
	case Responder:
		return "FCGI_RESPONDER"
	case Authorizer:
		return "FCGI_AUTHORIZER"
	case Filter:
		return "FCGI_FILTER"
	}
	return "role " + strconv.Itoa(int(r))
}

// ProtocolStatus says in END_REQUEST what became of a request (FastCGI 1.0
// § 5.5).
type ProtocolStatus uint8

// The protocol statuses. All but RequestComplete refuse a request.
const (
	RequestComplete ProtocolStatus = 0 // the request ran to its end, well or not
	CantMpxConn     ProtocolStatus = 1 // a second request on a connection that takes one at a time
	Overloaded      ProtocolStatus = 2 // no room for the request now
	UnknownRole     ProtocolStatus = 3 // the application does not play that role
)

// String returns the specification's name, such as FCGI_OVERLOADED, or
// "protocol status 4" for a number that has none.
func (s ProtocolStatus) String() string {
	switch s {
	case RequestComplete:
		return "FCGI_REQUEST_COMPLETE"
	case CantMpxConn:
		return "FCGI_CANT_MPX_CONN"
	case Overloaded:
		return "FCGI_OVERLOADED"
	case UnknownRole:
		return "FCGI_UNKNOWN_ROLE"
	}
	return "protocol status " + strconv.Itoa(int(s))
}

// Begin is the body of BEGIN_REQUEST, which opens a request (FastCGI 1.0
// § 5.1).
type Begin struct {
	Role  Role
	Flags byte // KeepConn, or 0; the other bits have no meaning and may be set
}

// ParseBegin reads the content of a BEGIN_REQUEST record. Less than 8 bytes is
// [ErrBeginLength]; what follows the first 8 is ignored, as are the reserved
// bytes.
func ParseBegin(content []byte) (Begin, error) {
	if len(content) < bodyLen {
		return Begin{}, ErrBeginLength
	}
	return Begin{Role: Role(binary.BigEndian.Uint16(content)), Flags: content[2]}, nil
}

// AppendBegin appends a BEGIN_REQUEST record.
func AppendBegin(dst []byte, id uint16, role Role, flags byte) []byte {
	dst = AppendHeader(dst, BeginRequest, id, bodyLen, 0)
	return append(dst, byte(role>>8), byte(role), flags, 0, 0, 0, 0, 0)
}

// End is the body of END_REQUEST, the last record of a request (FastCGI 1.0
// § 5.5).
type End struct {
	AppStatus      uint32 // what a CGI program would have exited with; 0 is success
	ProtocolStatus ProtocolStatus
}

// ParseEnd reads the content of an END_REQUEST record. Less than 8 bytes is
// [ErrEndLength]; what follows the first 8 is ignored, as are the reserved
// bytes.
func ParseEnd(content []byte) (End, error) {
	if len(content) < bodyLen {
		return End{}, ErrEndLength
	}
	return End{
		AppStatus:      binary.BigEndian.Uint32(content),
		ProtocolStatus: ProtocolStatus(content[4]),
	}, nil
}

// AppendEndRequest appends an END_REQUEST record. Nothing may follow it for
// that id until the id is begun again.
func AppendEndRequest(dst []byte, id uint16, appStatus uint32, ps ProtocolStatus) []byte {
	dst = AppendHeader(dst, EndRequest, id, bodyLen, 0)
	dst = binary.BigEndian.AppendUint32(dst, appStatus)
	return append(dst, byte(ps), 0, 0, 0)
}
