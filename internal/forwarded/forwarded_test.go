package forwarded

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
)

var proxies = Proxies{Networks: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("127.0.0.1/32"), netip.MustParsePrefix("2001:db8:f::/48")}}

// fields makes a header of lines such as "For: 192.0.2.1".
func fields(lines ...string) http.Header {
	names := map[string]string{"F": Forwarded, "For": For, "Proto": Proto}
	h := make(http.Header)
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ": ")
		h.Add(names[name], value)
	}
	return h
}

func TestOrigin(t *testing.T) {
	tests := []struct {
		name   string
		fields []string
		client string // "" for the peer; with its field in parentheses
		scheme string
		ignore string // a part of what is ignored
		refuse string // a part of the error
	}{
		{"nothing", nil, "", "", "", ""},
		// X-Forwarded-For
		{"one", []string{"For: 192.0.2.7"}, "192.0.2.7 (X-Forwarded-For)", "", "", ""},
		{"forged", []string{"For: 203.0.113.9, 192.0.2.7"}, "192.0.2.7 (X-Forwarded-For)", "", "", ""},
		{"forged as trusted", []string{"For: 10.0.0.9, 192.0.2.7"}, "192.0.2.7 (X-Forwarded-For)", "", "", ""},
		{"two proxies", []string{"For: 203.0.113.9, 192.0.2.7, 10.0.0.1"}, "192.0.2.7 (X-Forwarded-For)", "", "", ""},
		{"two lines", []string{"For: 203.0.113.9, 192.0.2.7", "For: 10.0.0.1"}, "192.0.2.7 (X-Forwarded-For)", "", "", ""},
		{"a client in a trusted network", []string{"For: 10.0.0.9"}, "10.0.0.9 (X-Forwarded-For)", "", "", ""},
		{"all trusted", []string{"For: 10.0.0.9, 10.0.0.1"}, "10.0.0.9 (X-Forwarded-For)", "", "", ""},
		{"junk at the left", []string{"For: junk, 192.0.2.7"}, "192.0.2.7 (X-Forwarded-For)", "", "", ""},
		{"junk", []string{"For: junk"}, "", "", `X-Forwarded-For: "junk" is not an address`, ""},
		{"junk behind a proxy", []string{"For: junk, 10.0.0.1"}, "10.0.0.1 (X-Forwarded-For)", "", `"junk" is not an address`, ""},
		{"unknown", []string{"For: unknown"}, "", "", "", ""},
		{"unknown behind a proxy", []string{"For: 192.0.2.7, unknown, 10.0.0.1"}, "10.0.0.1 (X-Forwarded-For)", "", "", ""},
		{"empty", []string{"For: "}, "", "", "", ""},
		{"empty elements", []string{"For: ,192.0.2.7 ,\t,"}, "192.0.2.7 (X-Forwarded-For)", "", "", ""},
		{"port", []string{"For: 192.0.2.7:4711"}, "192.0.2.7:4711 (X-Forwarded-For)", "", "", ""},
		{"IPv6", []string{"For: 2001:db8::7"}, "2001:db8::7 (X-Forwarded-For)", "", "", ""},
		{"IPv6 in brackets", []string{"For: [2001:db8::7]"}, "2001:db8::7 (X-Forwarded-For)", "", "", ""},
		{"IPv6 and port", []string{"For: [2001:db8::7]:4711"}, "[2001:db8::7]:4711 (X-Forwarded-For)", "", "", ""},
		{"IPv4 in IPv6", []string{"For: 192.0.2.7, ::ffff:10.0.0.1"}, "192.0.2.7 (X-Forwarded-For)", "", "", ""},
		{"IPv4 in brackets", []string{"For: [192.0.2.7]"}, "", "", "is not an address", ""},
		{"a name", []string{"For: client.example"}, "", "", "is not an address", ""},
		// X-Forwarded-Proto
		{"https", []string{"For: 192.0.2.7", "Proto: https"}, "192.0.2.7 (X-Forwarded-For)", "https (X-Forwarded-Proto)", "", ""},
		{"alone", []string{"Proto: HTTPS"}, "", "https (X-Forwarded-Proto)", "", ""},
		{"forged scheme", []string{"Proto: https, http"}, "", "http (X-Forwarded-Proto)", "", ""},
		{"forged scheme in a line", []string{"Proto: https", "Proto: http"}, "", "http (X-Forwarded-Proto)", "", ""},
		{"no scheme", []string{"Proto: https,"}, "", "", `X-Forwarded-Proto: "": it must be http or https`, ""},
		{"wss", []string{"Proto: wss"}, "", "", `"wss": it must be http or https`, ""},
		// Forwarded
		{"RFC 7239 § 4, 1", []string{`F: for="_gazonk"`}, "", "", "", ""},
		{"RFC 7239 § 4, 2", []string{`F: For="[2001:db8:cafe::17]:4711"`}, "[2001:db8:cafe::17]:4711 (Forwarded)", "", "", ""},
		{"RFC 7239 § 4, 3", []string{"F: for=192.0.2.60;proto=http;by=203.0.113.43"}, "192.0.2.60 (Forwarded)", "http (Forwarded)", "", ""},
		{"RFC 7239 § 4, 4", []string{"F: for=192.0.2.43, for=198.51.100.17"}, "198.51.100.17 (Forwarded)", "", "", ""},
		{"RFC 7239 § 7.1", []string{`F: for=192.0.2.43,for="[2001:db8:f::17]",for=unknown`}, "", "", "", ""},
		{"lines", []string{"F: for=192.0.2.43;proto=https", "F: for=10.0.0.1;proto=http"}, "192.0.2.43 (Forwarded)", "http (Forwarded)", "", ""},
		{"forged line", []string{"F: for=203.0.113.9;proto=https", "F: for=192.0.2.7;proto=http"}, "192.0.2.7 (Forwarded)", "http (Forwarded)", "", ""},
		{"no for", []string{"F: proto=https"}, "", "https (Forwarded)", "", ""},
		{"no for behind a proxy", []string{"F: for=192.0.2.7, proto=https, for=10.0.0.1"}, "10.0.0.1 (Forwarded)", "", "", ""},
		{"quoted comma", []string{`F: for=192.0.2.7;ext="a, for=203.0.113.9"`}, "192.0.2.7 (Forwarded)", "", "", ""},
		{"escapes", []string{`F: for="192\.0.2.7";proto="\htt\p\s"`}, "192.0.2.7 (Forwarded)", "https (Forwarded)", "", ""},
		{"no quotes", []string{"F: for=[2001:db8::7]:80"}, "[2001:db8::7]:80 (Forwarded)", "", "", ""},
		{"spaces", []string{"F:  for=192.0.2.7 ; proto=https , "}, "192.0.2.7 (Forwarded)", "https (Forwarded)", "", ""},
		{"empty pairs", []string{"F: ;;for=192.0.2.7;;, ,"}, "192.0.2.7 (Forwarded)", "", "", ""},
		{"hidden port", []string{`F: for="192.0.2.7:_x"`}, "192.0.2.7 (Forwarded)", "", "", ""},
		{"IPv6 without brackets", []string{`F: for="2001:db8::7"`}, "", "", `Forwarded: "2001:db8::7" is not an address`, ""},
		{"a port that is none", []string{`F: for="192.0.2.7:65536"`}, "", "", "is not an address", ""},
		{"open quote", []string{`F: for="192.0.2.7`}, "", "", `Forwarded: the value of "for" has no quote at its end`, ""},
		{"open quote before", []string{`F: for="203.0.113.9, for=192.0.2.7`}, "", "", "has no quote at its end", ""},
		{"open escape", []string{`F: for="192.0.2.7\`}, "", "", "has no quote at its end", ""},
		{"no value", []string{"F: for"}, "", "", `"for" where NAME=VALUE must be`, ""},
		{"empty value", []string{"F: for=;proto=https"}, "", "", `"for" has no value`, ""},
		{"space in a pair", []string{"F: for =192.0.2.7"}, "", "", "where NAME=VALUE must be", ""},
		{"two words", []string{"F: for=192.0.2.7 for=203.0.113.9"}, "", "", `"for=203.0.113.9" where a "," or a ";" must be`, ""},
		{"twice in an element", []string{"F: for=192.0.2.7;FOR=203.0.113.9"}, "", "", `"for" is given twice`, ""},
		{"odd scheme", []string{"F: for=192.0.2.7;proto=gopher"}, "192.0.2.7 (Forwarded)", "", `proto is "gopher"`, ""},
		{"too many parameters", []string{"F: " + "a=1;b=1;c=1;d=1;e=1;f=1;g=1;h=1;i=1;j=1;k=1;l=1;m=1;n=1;o=1;p=1;q=1"}, "", "", "more than 16 parameters", ""},
		// Both
		{"agreed", []string{"For: 192.0.2.7", "Proto: https", "F: for=192.0.2.7;proto=https"}, "192.0.2.7 (X-Forwarded-For)", "https (X-Forwarded-Proto)", "", ""},
		{"agreed, with a port", []string{"For: 192.0.2.7", `F: for="192.0.2.7:80"`}, "192.0.2.7 (X-Forwarded-For)", "", "", ""},
		{"two clients", []string{"For: 192.0.2.7", "F: for=203.0.113.9"}, "", "", "",
			"about the client: 192.0.2.7 in X-Forwarded-For, 203.0.113.9 in Forwarded: have the proxy send one kind"},
		{"hidden, and a client", []string{"For: 192.0.2.7", "F: for=_hidden"}, "", "", "", "192.0.2.7 in X-Forwarded-For, unknown in Forwarded"},
		{"both hidden", []string{"For: unknown", "F: for=_hidden"}, "", "", "", ""},
		{"two schemes", []string{"For: 192.0.2.7", "Proto: http", "F: for=192.0.2.7;proto=https"}, "", "", "",
			"about the scheme: http in X-Forwarded-Proto, https in Forwarded"},
		{"a scheme beside a proxy that gives none", []string{"For: 192.0.2.7", "F: for=192.0.2.7;proto=https"}, "192.0.2.7 (X-Forwarded-For)", "",
			"its proto stands beside X-Forwarded-For without X-Forwarded-Proto", ""},
		{"the same the other way", []string{"Proto: https", "F: for=192.0.2.7"}, "192.0.2.7 (Forwarded)", "",
			"X-Forwarded-Proto: it stands beside a Forwarded that does not give the scheme", ""},
		{"all trusted in one", []string{"For: 192.0.2.7", "F: for=10.0.0.1"}, "192.0.2.7 (X-Forwarded-For)", "", "", ""},
		{"all trusted in the other", []string{"For: 10.0.0.1", "F: for=192.0.2.7"}, "192.0.2.7 (Forwarded)", "", "", ""},
		{"junk in one", []string{"For: 192.0.2.7", "Proto: https", "F: junk"}, "192.0.2.7 (X-Forwarded-For)", "https (X-Forwarded-Proto)", "Forwarded: ", ""},
		{"a junk address in one", []string{"For: 192.0.2.7", "F: for=junk"}, "192.0.2.7 (X-Forwarded-For)", "", `Forwarded: "junk"`, ""},
		{"junk in the other", []string{"For: junk", "F: for=192.0.2.7"}, "192.0.2.7 (Forwarded)", "", `X-Forwarded-For: "junk"`, ""},
	}
	for _, tt := range tests {
		o, err := proxies.Origin(fields(tt.fields...))
		if tt.refuse != "" {
			if !errors.Is(err, ErrConflict) || !strings.Contains(err.Error(), tt.refuse) || o.Client.IsValid() && o.Scheme != "" {
				t.Errorf("%s: %+v, error %v; want %s", tt.name, o, err, tt.refuse)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
		got := ""
		if o.Client.IsValid() {
			got = o.Client.String()
			if o.Port != 0 {
				got = netip.AddrPortFrom(o.Client, o.Port).String()
			}
			got += " (" + o.ClientFrom + ")"
		}
		if got != tt.client {
			t.Errorf("%s: client %q; want %q", tt.name, got, tt.client)
		}
		got = o.Scheme
		if got != "" {
			got += " (" + o.SchemeFrom + ")"
		}
		if got != tt.scheme {
			t.Errorf("%s: scheme %q; want %q", tt.name, got, tt.scheme)
		}
		var ignored string
		if err := errors.Join(o.Ignored...); err != nil {
			ignored = err.Error()
		}
		if (tt.ignore == "") != (ignored == "") || !strings.Contains(ignored, tt.ignore) {
			t.Errorf("%s: ignored %q; want %q", tt.name, ignored, tt.ignore)
		}
	}
}

func TestRequest(t *testing.T) {
	tcp := &net.TCPAddr{IP: net.IPv4(10, 0, 0, 2), Port: 8080}
	unix := &net.UnixAddr{Name: "/run/h", Net: "unix"}
	both := Proxies{Networks: proxies.Networks, Unix: true}
	sent := []string{"For: 192.0.2.7", "Proto: https"}
	tests := []struct {
		name    string
		proxies Proxies
		local   net.Addr
		peer    string
		host    string
		fields  []string
		remote  string // wanted
		tls     bool
		port    int // of the server
	}{
		{"trusted", proxies, tcp, "10.0.0.1:5000", "example.org", sent, "192.0.2.7", true, 443},
		{"trusted, IPv4 in IPv6", proxies, tcp, "[::ffff:10.0.0.1]:5000", "example.org", sent, "192.0.2.7", true, 443},
		{"port in Host", proxies, tcp, "10.0.0.1:5000", "example.org:8443", sent, "192.0.2.7", true, 8443},
		{"http", proxies, tcp, "10.0.0.1:5000", "[::1]", []string{"Proto: http"}, "10.0.0.1:5000", false, 80},
		{"no scheme", proxies, tcp, "10.0.0.1:5000", "example.org", []string{"For: [2001:db8::7]:99"}, "[2001:db8::7]:99", false, 8080},
		{"nothing sent", proxies, tcp, "10.0.0.1:5000", "example.org", nil, "10.0.0.1:5000", false, 8080},
		{"another peer", proxies, tcp, "192.0.2.1:5000", "example.org", sent, "192.0.2.1:5000", false, 8080},
		{"nobody trusted", Proxies{}, tcp, "10.0.0.1:5000", "example.org", sent, "10.0.0.1:5000", false, 8080},
		{"unix trusted", both, unix, "@", "example.org", sent, "192.0.2.7", true, 0},
		{"unix", proxies, unix, "@", "example.org", sent, "@", false, 0},
		{"only unix", Proxies{Unix: true}, tcp, "10.0.0.1:5000", "example.org", sent, "10.0.0.1:5000", false, 8080},
	}
	for _, tt := range tests {
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr, r.Host, r.Header = tt.peer, tt.host, fields(tt.fields...)
		r = r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, tt.local))
		before := *r
		got, _, err := tt.proxies.Request(r)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
		port := 0
		if a, ok := localAddr(got).(*net.TCPAddr); ok {
			port = a.Port
			if !a.IP.Equal(tcp.IP) {
				t.Errorf("%s: the server's address became %v", tt.name, a)
			}
		}
		if got.RemoteAddr != tt.remote || (got.TLS != nil) != tt.tls || port != tt.port {
			t.Errorf("%s: client %s, TLS %v, port %d; want %s, %v, %d", tt.name, got.RemoteAddr, got.TLS != nil, port, tt.remote, tt.tls, tt.port)
		}
		if r.RemoteAddr != before.RemoteAddr || r.TLS != before.TLS || localAddr(r) != tt.local {
			t.Errorf("%s: the request itself was changed", tt.name)
		}
	}
}

// FuzzForwarded: no address is found that is not in the field, what is found is found again in
// its usual form, and an element never depends on the lines before it.
func FuzzForwarded(f *testing.F) {
	for _, s := range []string{
		`for=192.0.2.60;proto=http;by=203.0.113.43`, `For="[2001:db8:cafe::17]:4711", for=unknown;proto="\https"`,
		`for=_x, for="192.0.2.1:_y"`, `for="192.0.2.7`, `;,=;"`, "for=[::ffff:10.0.0.1]", "for=192.0.2.7 , ,for=junk;for=x", "1.2.3.4, 5.6.7.8:80",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		bare := strings.NewReplacer(`\`, "", `"`, "").Replace(s)
		check := func(hops []Hop) {
			for _, h := range hops {
				if h.Client.IsValid() && !mentions(bare, h.Client) {
					t.Errorf("%q: %v is not in the field", s, h.Client)
				}
			}
		}
		check(parseList([]string{s}))
		hops, err := parseForwarded([]string{s})
		if err != nil {
			if hops != nil {
				t.Errorf("%q: %v beside the error %v", s, hops, err)
			}
			return
		}
		check(hops)
		for _, h := range hops {
			again, err := parseForwarded([]string{s, h.String()})
			if err != nil || len(again) != len(hops)+1 || again[len(hops)].Client != h.Client || again[len(hops)].Proto != h.Proto {
				t.Errorf("%q: %v became %v, %v", s, h, again, err)
			}
		}
		proxies.Origin(http.Header{Forwarded: {s}, For: {s}, Proto: {s}})
	})
}

// mentions reports whether an address is somewhere in s, in any of its forms.
func mentions(s string, a netip.Addr) bool {
	for _, word := range strings.FieldsFunc(s, func(r rune) bool { return strings.ContainsRune(" \t,;=[]", r) }) {
		for i := range len(word) + 1 {
			if b, err := netip.ParseAddr(word[:i]); err == nil && plain(b) == a {
				return true
			}
		}
	}
	return false
}
