package forwarded

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// The fields, by their names in an http.Header.
const (
	Forwarded = "Forwarded"
	For       = "X-Forwarded-For"
	Proto     = "X-Forwarded-Proto"
)

// Proxies says which peers are trusted to say who their clients are. The zero value trusts
// none.
type Proxies struct {
	Networks []netip.Prefix // of TCP peers
	Unix     bool           // the peers on unix sockets
}

// None reports whether no peer is trusted.
func (p Proxies) None() bool { return len(p.Networks) == 0 && !p.Unix }

// Trusts reports whether a is the address of a trusted proxy.
func (p Proxies) Trusts(a netip.Addr) bool {
	a = plain(a)
	return slices.ContainsFunc(p.Networks, func(n netip.Prefix) bool { return n.Contains(a) })
}

// An Origin is what trusted proxies say of the client.
type Origin struct {
	Client     netip.Addr // not valid if they do not say: then it is the peer
	Port       uint16     // of the client; 0 if they do not say
	ClientFrom string     // the field that says so
	Scheme     string     // "http", "https", or empty if they do not say
	SchemeFrom string     // the field that says so

	// Ignored says what is malformed, or does not count for another reason.
	Ignored []error
}

// ErrConflict is wrapped by the error for a request whose fields disagree.
var ErrConflict = errors.New("the fields of the reverse proxy disagree")

const conflictRemedy = "have the proxy send one kind of fields, and remove the other from what clients send"

// Origin returns what the fields of a request say, which has come from a trusted proxy. The
// error wraps ErrConflict.
func (p Proxies) Origin(header http.Header) (o Origin, err error) {
	list, protos := header[For], header[Proto]
	elements, malformed := parseForwarded(header[Forwarded])
	if malformed != nil {
		o.ignore(Forwarded, malformed)
	}
	x, f := p.walk(parseList(list)), p.walk(elements)
	for _, s := range []struct {
		field string
		side  side
	}{{For, x}, {Forwarded, f}} {
		if s.side.malformed != "" {
			o.ignore(s.field, fmt.Errorf("%.100q is not an address", s.side.malformed))
		}
	}
	hasX, hasF := len(list) > 0 && x.malformed == "", len(elements) > 0 && f.malformed == ""
	switch {
	case hasX && hasF && x.end != trusted && f.end != trusted && x.client.Client != f.client.Client:
		return o, fmt.Errorf("%w about the client: %s in X-Forwarded-For, %s in Forwarded: %s", ErrConflict, x, f, conflictRemedy)
	case hasF && (!hasX || x.end == trusted && f.end != trusted), len(list) == 0:
		o.setClient(f, Forwarded)
	default:
		o.setClient(x, For)
	}
	proto, err := lastProto(protos)
	if err != nil {
		o.ignore(Proto, err)
	}
	other := ""
	if len(elements) > 0 {
		other = elements[len(elements)-1].Proto
		if other != "" && other != "http" && other != "https" {
			o.ignore(Forwarded, fmt.Errorf("proto is %.20q: it must be http or https", other))
			other = ""
		}
	}
	switch {
	case proto != "" && other != "" && proto != other:
		return o, fmt.Errorf("%w about the scheme: %s in X-Forwarded-Proto, %s in Forwarded: %s", ErrConflict, proto, other, conflictRemedy)
	case len(elements) == 0 || proto == other:
		o.Scheme, o.SchemeFrom = proto, Proto
	case len(list) == 0 && len(protos) == 0:
		o.Scheme, o.SchemeFrom = other, Forwarded
	case proto != "":
		o.ignore(Proto, errors.New("it stands beside a Forwarded that does not give the scheme: "+conflictRemedy))
	case other != "":
		o.ignore(Forwarded, errors.New("its proto stands beside X-Forwarded-For without X-Forwarded-Proto: "+conflictRemedy))
	}
	if o.Scheme == "" {
		o.SchemeFrom = ""
	}
	return o, nil
}

func (o *Origin) setClient(s side, field string) {
	if s.client.Client.IsValid() {
		o.Client, o.Port, o.ClientFrom = s.client.Client, s.client.Port, field
	}
}

func (o *Origin) ignore(field string, err error) {
	o.Ignored = append(o.Ignored, fmt.Errorf("%s: %w", field, err))
}

// lastProto returns the last scheme in the lines of X-Forwarded-Proto, in lower case.
func lastProto(lines []string) (string, error) {
	if len(lines) == 0 {
		return "", nil
	}
	last := lines[len(lines)-1]
	switch s := strings.ToLower(strings.Trim(last[strings.LastIndexByte(last, ',')+1:], " \t")); s {
	case "http", "https":
		return s, nil
	default:
		return "", fmt.Errorf("%.20q: it must be http or https", s)
	}
}

// A side is what one kind of fields says of the client.
type side struct {
	client    Hop // the last one from the right that is known; its Client may not be valid
	end       end
	malformed string
}

// An end says where the addresses, read from the right, end.
type end uint8

const (
	trusted end = iota // at the left end: all are those of trusted proxies
	client             // at the first that is not trusted
	hidden             // at one that is unknown, or malformed
)

// walk reads hops from the right.
func (p Proxies) walk(hops []Hop) (s side) {
	for _, h := range slices.Backward(hops) {
		if !h.Client.IsValid() {
			s.end, s.malformed = hidden, h.malformed
			return s
		}
		s.client = h
		if !p.Trusts(h.Client) {
			s.end = client
			return s
		}
	}
	return s
}

// String returns the address of the client for a message.
func (s side) String() string {
	if s.end == hidden {
		return "unknown"
	}
	return s.client.Client.String()
}
