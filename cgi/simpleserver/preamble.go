package simpleserver

import (
	"runtime/debug"
	"time"

	"gatehouse/cgi"
)

// A preamble is what an origin server puts in front of the application's fields
// (send_preamble).
type preamble struct {
	version  string // of HTTP in the response, such as "1.0"
	software string // of the Server field; empty for none
}

// append appends the head of a response as an origin server's; see
// [cgi.Head.MakeOrigin].
func (p preamble) append(b []byte, protocol string, h *cgi.Head, now time.Time) []byte {
	origin := *h
	if origin.HTTPVersion == "" && !origin.Bare { // a Handler of the user's may have done it
		origin.MakeOrigin(p.version, p.software, protocol, now)
	}
	return origin.AppendCGI(b)
}

// software returns the text of the Server field.
func (s *Server) software() string {
	if s.Software != "" {
		return s.Software
	}
	return ownSoftware()
}

// ownSoftware names this module, with its version if the build has one.
func ownSoftware() string {
	const name = "gatehouse"
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return name
	}
	modules := append([]*debug.Module{&info.Main}, info.Deps...)
	for _, m := range modules {
		if m.Path == name && m.Version != "" && m.Version[0] == 'v' {
			return name + "/" + m.Version[1:]
		}
	}
	return name
}
