package fastcgi

import (
	"fmt"
	"net/netip"
	"strings"
)

// WebServerAddrsVariable is the variable of the process that lists the addresses of the
// web server.
const WebServerAddrsVariable = "FCGI_WEB_SERVER_ADDRS"

// WebServerAddrs reads the value of FCGI_WEB_SERVER_ADDRS: the addresses from which
// the web server connects to a process that it started with a listening socket on
// descriptor 0, separated by commas (FastCGI 1.0 § 3.2), for Server.WebServerAddrs.
//
// The specification has IPv4 addresses only; IPv6 is accepted, too, without a zone, and
// an IPv4 address in IPv6 form is one of IPv4. Blanks around an address do not count.
// The value "" lists nothing, as if the variable were not set. Anything else is an error,
// after which nothing should be served.
func WebServerAddrs(value string) ([]netip.Addr, error) {
	if value == "" {
		return nil, nil
	}
	var list []netip.Addr
	for s := range strings.SplitSeq(value, ",") {
		ip, err := netip.ParseAddr(strings.Trim(s, " \t"))
		if err != nil || ip.Zone() != "" {
			return nil, fmt.Errorf("%s is %.200q: %.80q is not an IP address", WebServerAddrsVariable, value, s)
		}
		list = append(list, ip.Unmap())
	}
	return list, nil
}
