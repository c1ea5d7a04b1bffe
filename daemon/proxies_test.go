package daemon

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestTrustedProxiesKey(t *testing.T) {
	c, err := ParseConfig("g.toml", []byte(`trusted_proxies = ["192.0.2.7", "10.0.0.0/8", "2001:db8::/32", "unix"]`+"\n"))
	if err != nil {
		t.Fatal(err)
	}
	want := []netip.Prefix{netip.MustParsePrefix("192.0.2.7/32"), netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8::/32")}
	if d := cmp.Diff(want, c.TrustedProxies, cmpopts.EquateComparable(netip.Prefix{})); d != "" || !c.TrustUnixProxies {
		t.Errorf("%s, unix %v", d, c.TrustUnixProxies)
	}
	if c, err = ParseConfig("g.toml", []byte("hello = true\n")); err != nil || c.trustsProxies() {
		t.Errorf("by default %v and %v are trusted, %v", c.TrustedProxies, c.TrustUnixProxies, err)
	}
	_, err = ParseConfig("g.toml", []byte("trusted_proxies = \"localhost\"\n"))
	if err == nil || !strings.Contains(err.Error(), `g.toml:1:1: trusted_proxies: "localhost" is not a network`) || !strings.Contains(err.Error(), `or "unix"`) {
		t.Errorf("a name: %v", err)
	}
}

// TestTrustedProxiesChecked: proxies that can have no effect are an error, and everybody a
// warning.
func TestTrustedProxiesChecked(t *testing.T) {
	tcp := Address{Host: "127.0.0.1", Port: 4000}
	trusting := func(c Config, trusted ...string) *Config {
		for _, s := range trusted {
			if err := c.AddTrustedProxy(s); err != nil {
				t.Fatal(err)
			}
		}
		return &c
	}
	for _, c := range []struct {
		name   string
		config *Config
		fails  bool
	}{
		{"HTTP", trusting(Config{HTTP: []Address{tcp}}, "10.0.0.0/8"), false},
		{"HTTP beside SCGI", trusting(Config{SCGI: []Address{tcp}, HTTP: []Address{tcp}}, "unix"), false},
		{"SCGI", trusting(Config{SCGI: []Address{tcp}}, "10.0.0.0/8"), true},
		{"FastCGI", trusting(Config{FastCGI: []Address{tcp}}, "unix"), true},
		{"what was passed", trusting(Config{}, "10.0.0.0/8"), false},
		{"nobody", &Config{SCGI: []Address{tcp}}, false},
	} {
		if err := c.config.checkProxies(); (err != nil) != c.fails {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	for trusted, warns := range map[string]bool{"0.0.0.0/0": true, "::/0": true, "10.0.0.0/8": false, "unix": false} {
		lines := trusting(Config{Apps: []App{{Prefix: "/", Kind: Hello()}}}, trusted).Warnings()
		if (len(lines) > 0) != warns {
			t.Errorf("%s: %q", trusted, lines)
		}
	}
}
