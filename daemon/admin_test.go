package daemon

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"gatehouse/cgi"
	"gatehouse/cgi/slow"
	"gatehouse/daemon/admin"
	"gatehouse/internal/testkit"
)

// A heldKind is a Go handler of which requests wait until they are let go.
type heldKind struct {
	builtin
	letGo chan struct{}
}

func (k heldKind) prepare(preparation) (cgi.App, func() error, error) {
	return cgi.AppFunc(k.hold), func() error { return nil }, nil
}

func (k heldKind) hold(w cgi.ResponseWriter, r *cgi.Request) error {
	<-k.letGo
	return w.StartResponse("204 No Content", nil)
}

// TestLook: who asks for a request in flight sees what a Go handler that is watched is doing;
// of one that is not, nothing, and of one that has ended, that.
func TestLook(t *testing.T) {
	for _, watched := range []bool{true, false} {
		k := heldKind{builtin{"hello"}, make(chan struct{})}
		app := App{Prefix: "/", Kind: k}
		if watched {
			app.Slow = slow.Limits{After: time.Hour}
		}
		c := Config{HTTP: []Address{{Host: "127.0.0.1"}}, Apps: []App{app}, Admin: Admin{Addresses: []Address{{Host: "127.0.0.1"}}}}
		d, err := Open(c, Environment{Log: slog.New(slog.DiscardHandler), Stdout: io.Discard})
		if err != nil {
			t.Fatal(err)
		}
		address := d.generation.served()[0].Listener.Addr().String()
		if n := d.generation.newServer(d, nil).Reserve; n < admin.Descriptors {
			t.Errorf("%d descriptors are reserved", n)
		}
		ctx, stop := context.WithCancel(context.Background())
		served := make(chan error, 1)
		go func() { served <- d.Serve(ctx, nil) }()
		asked := make(chan error, 1)
		go func() {
			resp, err := http.Get("http://" + address + "/")
			if err == nil {
				err = resp.Body.Close()
			}
			asked <- err
		}()
		testkit.Until(t, "a request in flight", func() bool { return len(d.InFlight()) == 1 })
		id := d.InFlight()[0].ID
		l, found := d.Look(id)
		stack := ""
		for _, a := range l.Facts {
			if a.Key == "stack" {
				stack = a.Value.String()
			}
		}
		if !found || l.Request.ID != id || strings.Contains(stack, "heldKind.hold") != watched {
			t.Errorf("watched: %v; found: %v; %+v", watched, found, l)
		}
		close(k.letGo)
		if err := testkit.Receive(t, "the response", asked); err != nil {
			t.Error(err)
		}
		testkit.Until(t, "its end", func() bool { return len(d.InFlight()) == 0 })
		if _, found := d.Look(id); found {
			t.Error("a request that has ended is found")
		}
		http.DefaultClient.CloseIdleConnections()
		stop()
		if err := testkit.Receive(t, "the end", served); err != nil {
			t.Error(err)
		}
	}
}

// TestAdminProtocol: which sockets of systemd show gatehouse itself.
func TestAdminProtocol(t *testing.T) {
	for name, want := range map[string]bool{"admin": true, "metrics": true, "admin.site": true, "metrics.a.b": true,
		"admin.socket": false, "metrics.socket": false, "administrator": false, "fastcgi": false, "": false, "unknown": false, "fastcgi.admin": false} {
		if _, got := adminProtocol(name); got != want {
			t.Errorf("%q: %v", name, got)
		}
	}
}

// TestAdminReach: where other machines can connect, somebody must be allowed to.
func TestAdminReach(t *testing.T) {
	for address, private := range map[string]bool{
		"127.0.0.1:9117": true, "[::1]:9117": true, "[::ffff:127.0.0.1]:9117": true, "localhost:9117": true, "unix:/run/x": true,
		":9117": false, "0.0.0.0:9117": false, "[::]:9117": false, "192.168.1.7:9117": false, "[::ffff:192.168.1.7]:9117": false, "[fe80::1]:9117": false,
	} {
		a, err := ParseAdminAddress(address)
		if err != nil {
			t.Fatal(address, err)
		}
		for _, c := range []Config{{Admin: Admin{Addresses: []Address{a}}}, {Admin: Admin{Metrics: []Address{a}}}} {
			if err := c.checkAddress(protocolAdmin, a); a.Kind == AddressTCP && (err == nil) != private {
				t.Errorf("%s: %v", address, err)
			}
			c.Admin.Allow = []netip.Prefix{netip.MustParsePrefix("192.0.2.7/32")}
			if err := c.checkAddress(protocolAdmin, a); a.Kind == AddressTCP && err != nil {
				t.Errorf("%s with admin_allow: %v", address, err)
			}
			c.Allow, c.Admin.Allow = c.Admin.Allow, nil // those of applications say nothing
			if err := c.checkAddress(protocolMetrics, a); a.Kind == AddressTCP && (err == nil) != private {
				t.Errorf("%s with allow: %v", address, err)
			}
		}
	}
}
