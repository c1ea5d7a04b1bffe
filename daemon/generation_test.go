package daemon

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"testing"

	"gatehouse"
	"gatehouse/cgi"
	"gatehouse/internal/testkit"
)

// A countedKind counts how often it is prepared and ended.
type countedKind struct {
	builtin
	prepared, ended *int
	err             error
}

func (k countedKind) prepare(p preparation) (cgi.App, func() error, error) {
	*k.prepared++
	app, _, _ := k.builtin.prepare(p)
	return app, func() error { *k.ended++; return nil }, k.err
}

func counted() countedKind {
	return countedKind{builtin: builtin{"hello"}, prepared: new(int), ended: new(int)}
}

func (k countedKind) check(t *testing.T, when string, prepared, ended int) {
	t.Helper()
	if *k.prepared != prepared || *k.ended != ended {
		t.Errorf("%s: prepared %d times, ended %d times; want %d and %d", when, *k.prepared, *k.ended, prepared, ended)
	}
}

// TestPreparedOnce: a start prepares each application once.
func TestPreparedOnce(t *testing.T) {
	quiet := Environment{Log: slog.New(slog.DiscardHandler), Stdout: io.Discard}
	k := counted()
	c := Config{HTTP: []Address{{Host: "127.0.0.1"}}, Apps: []App{{Prefix: "/", Kind: k}}}
	d, err := Open(c, quiet)
	if err != nil {
		t.Fatal(err)
	}
	k.check(t, "Open", 1, 0)
	ctx, stop := context.WithCancel(context.Background())
	stop()
	if err := d.Serve(ctx, nil); err != nil {
		t.Error(err)
	}
	k.check(t, "Serve", 1, 1)

	if err := c.Check(); err != nil {
		t.Error(err)
	}
	k.check(t, "Check", 2, 2)

	// What has been prepared is ended where another thing fails.
	wrong := counted()
	wrong.err = errors.New("no")
	c.Apps = append(c.Apps, App{Prefix: "/wrong", Kind: wrong}, App{Prefix: "/", Kind: Demo()})
	_, err = Open(c, quiet)
	checkError(t, err, "no\n--app /=demo: prefix \"/\" is mounted twice, the first time by --app /=hello: give one of them another prefix, or remove it")
	k.check(t, "failed Open", 3, 3)
	wrong.check(t, "failed Open", 1, 1)
}

// TestGenerations has two at a time: the second serves while the first drains.
func TestGenerations(t *testing.T) {
	begin := func(prefix string) (g *generation, drain func(), served <-chan error, url string) {
		t.Helper()
		g, err := newGeneration(Config{Apps: []App{{Prefix: prefix, Kind: Hello()}}}, preparation{log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		l := testkit.Listen(t, "tcp")
		if err := g.addEndpoint(gatehouse.Endpoint{Protocol: gatehouse.HTTP, Listener: l}); err != nil {
			t.Fatal(err)
		}
		ctx, drain := context.WithCancel(context.Background())
		t.Cleanup(drain)
		return g, drain, g.start(ctx, new(Daemon), func() { t.Error("overdue") }), "http://" + l.Addr().String() + prefix
	}
	ask := func(url string) {
		t.Helper()
		resp, err := http.Get(url)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if b, err := io.ReadAll(resp.Body); string(b) != "hello world\n" || err != nil {
			t.Errorf("%s: %q, %v", url, b, err)
		}
	}
	end := func(g *generation, served <-chan error) {
		t.Helper()
		if err := errors.Join(<-served, g.close()); err != nil {
			t.Error(err)
		}
	}
	defer http.DefaultClient.CloseIdleConnections()
	first, drainFirst, firstServed, firstURL := begin("/first")
	second, drainSecond, secondServed, secondURL := begin("/second")
	ask(firstURL)
	ask(secondURL)
	drainFirst()
	end(first, firstServed)
	ask(secondURL)
	drainSecond()
	end(second, secondServed)
}
