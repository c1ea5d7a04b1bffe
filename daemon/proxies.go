package daemon

import (
	"errors"
	"fmt"
)

// AddTrustedProxy adds a reverse proxy that is trusted over HTTP: an address, a network, or
// "unix" for the peers on unix sockets.
func (c *Config) AddTrustedProxy(s string) error {
	if s == "unix" {
		c.TrustUnixProxies = true
		return nil
	}
	p, err := ParseAllow(s)
	if err != nil {
		return fmt.Errorf(`%w, or "unix" for unix sockets`, err)
	}
	c.TrustedProxies = append(c.TrustedProxies, p)
	return nil
}

func (c *Config) trustsProxies() bool { return len(c.TrustedProxies) > 0 || c.TrustUnixProxies }

// checkProxies returns an error if there is no listener for which proxies are trusted. A
// passed socket may be one.
func (c *Config) checkProxies() error {
	if !c.trustsProxies() || !c.Listens() || len(c.HTTP) > 0 {
		return nil
	}
	return errors.New("trusted_proxies is for HTTP, and no address is: remove it, or listen for HTTP (http); " +
		"over FastCGI and SCGI, the web server itself sends the address of the client")
}

// proxyWarnings returns the networks of TrustedProxies that are hardly meant.
func (c *Config) proxyWarnings() (lines []string) {
	for _, p := range c.TrustedProxies {
		if p.Bits() == 0 {
			lines = append(lines, fmt.Sprintf("trusted_proxies: %v trusts everybody, so that each client says itself who it is: "+
				"write the addresses of your proxies", p))
		}
	}
	return lines
}
