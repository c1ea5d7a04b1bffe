package daemon

import (
	"testing"

	"gatehouse/cgi"
)

// TestPingCost: a request for another path pays no allocation for the path of pings.
func TestPingCost(t *testing.T) {
	app := cgi.AppFunc(func(cgi.ResponseWriter, *cgi.Request) error { return nil })
	p := &pinger{path: "/ping", ready: func() bool { return true }, app: app}
	for _, target := range []string{"/cgi-bin/a.cgi/info?x=1", "/pings"} {
		env, err := FrontNginx.Variables(target)
		if err != nil {
			t.Fatal(err)
		}
		r := &cgi.Request{Env: env}
		if n := testing.AllocsPerRun(100, func() {
			if err := p.ServeCGI(nil, r); err != nil {
				t.Fatal(err)
			}
		}); n > 0 {
			t.Errorf("%s: %v allocations", target, n)
		}
	}
}
