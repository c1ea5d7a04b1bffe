package forwarded

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// A Hop is what one proxy says of the connection that it has accepted.
type Hop struct {
	Client netip.Addr // not valid if the proxy does not tell
	Port   uint16     // of the client; 0 if the proxy does not tell
	Proto  string     // in lower case; empty if the proxy does not tell

	malformed string // what is written in place of the client's address
}

// parseList returns the hops in the lines of X-Forwarded-For, from left to right.
func parseList(lines []string) (hops []Hop) {
	for _, line := range lines {
		for element := range strings.SplitSeq(line, ",") {
			if element = strings.Trim(element, " \t"); element != "" {
				hops = append(hops, parseAddress(element))
			}
		}
	}
	return hops
}

// parseAddress parses an element of X-Forwarded-For. It has no specification: the address of
// IPv6 may have brackets, and a port may follow.
func parseAddress(s string) (h Hop) {
	if ap, err := netip.ParseAddrPort(s); err == nil {
		return Hop{Client: plain(ap.Addr()), Port: ap.Port()}
	}
	if a, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(s, "["), "]")); err == nil && (a.Is6() || s[0] != '[') {
		return Hop{Client: plain(a)}
	}
	if !strings.EqualFold(s, "unknown") {
		h.malformed = s
	}
	return h
}

// plain returns an address in the form in which peers have them.
func plain(a netip.Addr) netip.Addr { return a.WithZone("").Unmap() }

// parseForwarded returns the hops in the lines of Forwarded, from left to right (RFC 7239 § 4).
// An element without an address is a Hop as well. Where proxies often err, it is lenient: an
// address with a port need not be in quotes, and spaces may stand around "," and ";".
func parseForwarded(lines []string) (hops []Hop, err error) {
	for _, line := range lines {
		for s := line; s != ""; {
			var h Hop
			empty := true
			if h, empty, s, err = parseElement(s); err != nil {
				return nil, err
			}
			if !empty { // as a list may have (RFC 9110 § 5.6.1)
				hops = append(hops, h)
			}
		}
	}
	return hops, nil
}

// parseElement parses an element, up to and with its comma.
func parseElement(s string) (h Hop, empty bool, rest string, err error) {
	empty = true
	var seen []string
	for {
		s = strings.TrimLeft(s, " \t")
		if s == "" {
			return h, empty, "", nil
		}
		switch s[0] {
		case ',':
			return h, empty, s[1:], nil
		case ';':
			s = s[1:]
			continue
		}
		name, value, rest, err := parsePair(s)
		if err != nil {
			return Hop{}, false, "", err
		}
		if s = strings.TrimLeft(rest, " \t"); s != "" && s[0] != ',' && s[0] != ';' {
			return Hop{}, false, "", fmt.Errorf(`%.20q where a "," or a ";" must be`, s)
		}
		empty = false
		name = strings.ToLower(name)
		for _, other := range seen {
			if name == other {
				return Hop{}, false, "", fmt.Errorf("%.20q is given twice in one element", name)
			}
		}
		seen = append(seen, name)
		switch name {
		case "for":
			node := parseNode(value)
			h.Client, h.Port, h.malformed = node.Client, node.Port, node.malformed
		case "proto":
			h.Proto = strings.ToLower(value)
		}
		if len(seen) > maxPairs {
			return Hop{}, false, "", fmt.Errorf("more than %d parameters in one element", maxPairs)
		}
	}
}

// maxPairs bounds the parameters of an element. There are four.
const maxPairs = 16

// parsePair parses a parameter, whose value is a token or a quoted string.
func parsePair(s string) (name, value, rest string, err error) {
	n := 0
	for n < len(s) && isToken(s[n]) {
		n++
	}
	name = s[:n]
	if n == 0 || n == len(s) || s[n] != '=' {
		return "", "", "", fmt.Errorf(`%.20q where NAME=VALUE must be`, s)
	}
	s = s[n+1:]
	if s == "" || s[0] != '"' {
		n = 0
		for n < len(s) && (isToken(s[n]) || strings.IndexByte(":[]", s[n]) >= 0) {
			n++
		}
		if n == 0 {
			return "", "", "", fmt.Errorf("%.20q has no value", name)
		}
		return name, s[:n], s[n:], nil
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '"':
			return name, b.String(), s[i+1:], nil
		case '\\':
			if i++; i == len(s) {
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return "", "", "", fmt.Errorf("the value of %.20q has no quote at its end", name)
}

// isToken reports whether c may be in a token (RFC 9110 § 5.6.2).
func isToken(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0
}

// parseNode parses the value of "for" (RFC 7239 § 6): an address, which is in brackets if it is
// of IPv6, or "unknown", or an identifier that hides the address; a port may follow.
func parseNode(s string) (h Hop) {
	name, port, hasPort := s, "", false
	if i := strings.LastIndexByte(s, ':'); i >= 0 && !strings.HasSuffix(s, "]") {
		name, port, hasPort = s[:i], s[i+1:], true
	}
	obfuscated := func(s string) bool {
		return len(s) > 1 && s[0] == '_' && strings.Trim(strings.ToLower(s), "abcdefghijklmnopqrstuvwxyz0123456789._-") == ""
	}
	if hasPort && !obfuscated(port) {
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil {
			return Hop{malformed: s}
		}
		h.Port = uint16(n)
	}
	if strings.EqualFold(name, "unknown") || obfuscated(name) {
		return Hop{}
	}
	inner, bracketed := strings.CutPrefix(name, "[")
	if bracketed {
		if inner, bracketed = strings.CutSuffix(inner, "]"); !bracketed {
			return Hop{malformed: s}
		}
	}
	a, err := netip.ParseAddr(inner)
	if err != nil || a.Is6() != bracketed || a.Zone() != "" {
		return Hop{malformed: s}
	}
	h.Client = plain(a)
	return h
}

// String returns the hop as an element of Forwarded.
func (h Hop) String() string {
	node := "unknown"
	switch {
	case h.malformed != "":
		node = h.malformed
	case h.Client.Is6():
		node = "[" + h.Client.String() + "]"
	case h.Client.IsValid():
		node = h.Client.String()
	}
	if h.Port != 0 {
		node += ":" + strconv.Itoa(int(h.Port))
	}
	s := "for=" + quote(node)
	if h.Proto != "" {
		s += ";proto=" + quote(h.Proto)
	}
	return s
}

// quote returns a quoted string.
func quote(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}
