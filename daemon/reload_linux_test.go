package daemon

import (
	"bytes"
	"context"
	"errors"
	commandline "flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"gatehouse"
	"gatehouse/cgi"
	"gatehouse/fastcgi/record"
	"gatehouse/internal/testkit"
)

var reloads = commandline.Int("reload.times", 10, "how often TestReloadLosesNothing reloads")

// A wordKind responds with its number, and must not be asked any more once it is closed. To
// /held it responds only when something is received from held.
type wordKind struct {
	builtin
	number int
	held   chan struct{}
	closed atomic.Bool
	err    error
}

func (k *wordKind) prepare(preparation) (cgi.App, func() error, error) {
	closeApp := func() error { k.closed.Store(true); return nil }
	return cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
		if r.Env.Get("REQUEST_URI") == "/held" {
			k.held <- struct{}{}
			<-k.held
		}
		if k.closed.Load() {
			return errors.New("the application is closed")
		}
		body := fmt.Sprintf("number %d.", k.number)
		if err := w.StartResponse("200 OK", []cgi.Field{{Name: "Content-Type", Value: "text/plain"}}); err != nil {
			return err
		}
		_, err := io.WriteString(w, body)
		return err
	}), closeApp, k.err
}

// A reloaded is a daemon whose configuration changes.
type reloaded struct {
	log  testkit.Log
	next atomic.Pointer[func() (*Config, error)] // for the next reload
	stop func()
	d    *Daemon
}

// serveReloaded opens a daemon, and serves until stop or the end of the test.
func serveReloaded(t *testing.T, c Config, alone bool) *reloaded {
	t.Helper()
	r := new(reloaded)
	d, err := Open(c, Environment{Log: r.log.Logger(), Alone: alone, Reload: func() (*Config, error) { return (*r.next.Load())() }})
	if err != nil {
		t.Fatal(err)
	}
	r.d = d
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGHUP)
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- d.Serve(ctx, signals) }()
	r.stop = sync.OnceFunc(func() {
		cancel()
		if err := testkit.Receive(t, "the end of the daemon", served); err != nil {
			t.Errorf("Serve returned %v", err)
		}
		signal.Stop(signals)
	})
	t.Cleanup(r.stop)
	return r
}

// reload reloads c, and returns the result.
func (r *reloaded) reload(c *Config, err error) error {
	next := func() (*Config, error) { return c, err }
	r.next.Store(&next)
	return RequestReload(context.Background(), os.Getpid())
}

// connect waits until it is connected to a unix socket.
func connect(t *testing.T, path string) net.Conn {
	t.Helper()
	var c net.Conn
	testkit.Until(t, "the socket "+path, func() (ok bool) {
		var err error
		c, err = net.Dial("unix", path)
		return err == nil
	})
	t.Cleanup(func() { c.Close() })
	return c
}

// A numberClient makes requests that wordKinds respond to.
type numberClient struct {
	protocol gatehouse.Protocol
	kept     bool
	path     string // of the socket
	conn     net.Conn
}

// ask makes a request, and returns the number in the response, of which nothing is missing. A
// kept connection must stay open.
func (c *numberClient) ask() (number int, err error) {
	if c.conn == nil {
		if c.conn, err = net.Dial("unix", c.path); err != nil {
			return 0, err
		}
	}
	if !c.kept {
		defer func() {
			c.conn.Close()
			c.conn = nil
		}()
	}
	request := bytes.Clone(drainRequest[c.protocol])
	if c.kept && c.protocol == gatehouse.HTTP {
		request = bytes.Replace(request, []byte("Connection: close\r\n"), nil, 1)
	}
	if c.kept && c.protocol == gatehouse.FastCGI {
		request[10] = record.KeepConn
	}
	if _, err := c.conn.Write(request); err != nil {
		return 0, err
	}
	response, err := c.read()
	if err != nil {
		return 0, err
	}
	_, text, _ := bytes.Cut(response, []byte("number "))
	if n, _ := fmt.Sscanf(string(text), "%d.", &number); n != 1 || !bytes.Contains(response, []byte("200 OK")) {
		return 0, fmt.Errorf("got %q", response)
	}
	return number, nil
}

// read reads a response: of a kept connection to its last byte, otherwise to the end.
func (c *numberClient) read() ([]byte, error) {
	end := []byte(".")
	if c.protocol == gatehouse.FastCGI {
		end = record.AppendEndRequest(nil, 1, 0, record.RequestComplete)
	}
	if !c.kept {
		response, err := io.ReadAll(c.conn)
		if err == nil && !bytes.HasSuffix(response, end) {
			err = fmt.Errorf("truncated: %q", response)
		}
		return response, err
	}
	var response []byte
	for b := make([]byte, 4096); !bytes.HasSuffix(response, end); {
		n, err := c.conn.Read(b)
		response = append(response, b[:n]...)
		if err != nil {
			return nil, fmt.Errorf("after %q: %w", response, err)
		}
	}
	return response, nil
}

// TestReloadLosesNothing has clients send requests, on kept connections and on one for each,
// while the configuration is reloaded with what changes each time. Every request is served,
// kept connections stay open, and each change has taken effect when the reload says so.
func TestReloadLosesNothing(t *testing.T) {
	dir := t.TempDir()
	config := func(n int) *Config {
		c := &Config{Apps: []App{{Prefix: "/", Kind: &wordKind{builtin: builtin{"hello"}, number: n}}}}
		at := func(name string) []Address {
			return []Address{{Kind: AddressUnix, Path: filepath.Join(dir, name), Mode: []os.FileMode{0o600, 0o660}[n%2]}}
		}
		c.FastCGI, c.SCGI, c.HTTP = at("fastcgi"), at("scgi"), at("http")
		c.AccessLog = []string{"off", filepath.Join(dir, "access.log")}[n/2%2]
		c.Limits.Front.Idle = time.Minute + time.Duration(n/3)*time.Second
		c.Limits.Front.Connections = 1000 + n
		c.Limits.ParamsTotal = 64<<20 + int64(n)
		c.Limits.Front.Requests = 100 + n
		switch n % 3 { // one more address, whose protocol changes, and that comes and goes
		case 0:
			c.HTTP = append(c.HTTP, at("more")...)
		case 1:
			c.SCGI = append(c.SCGI, at("more")...)
		}
		return c
	}
	r := serveReloaded(t, *config(0), false)
	var current, requests atomic.Int64 // current: what has taken effect
	var clients sync.WaitGroup
	stop := make(chan struct{})
	for _, protocol := range []gatehouse.Protocol{gatehouse.FastCGI, gatehouse.SCGI, gatehouse.HTTP} {
		for _, kept := range []bool{false, true} {
			if kept && protocol == gatehouse.SCGI {
				continue
			}
			client := &numberClient{protocol: protocol, kept: kept, path: filepath.Join(dir, string(protocol))}
			connect(t, client.path)
			clients.Go(func() {
				for n := 0; ; n++ {
					select {
					case <-stop:
						if client.conn != nil {
							client.conn.Close()
						}
						return
					default:
					}
					least := current.Load()
					got, err := client.ask()
					if err != nil || int64(got) < least {
						t.Errorf("%s, kept %v, request %d: got number %d, %v; want %d or more", protocol, kept, n, got, err, least)
						<-stop
						return
					}
					requests.Add(1)
				}
			})
		}
	}
	for n := 1; n <= *reloads && !t.Failed(); n++ {
		before, counted := requests.Load(), r.d.Stats()
		if err := r.reload(config(n), nil); err != nil {
			t.Fatal(err)
		}
		current.Store(int64(n))
		more := &numberClient{protocol: []gatehouse.Protocol{gatehouse.HTTP, gatehouse.SCGI, ""}[n%3], path: filepath.Join(dir, "more")}
		if more.protocol == "" {
			testkit.Until(t, "the removed address to be gone", func() bool {
				_, err := os.Lstat(more.path)
				return errors.Is(err, os.ErrNotExist)
			})
		} else if got, err := more.ask(); got != n || err != nil {
			t.Errorf("%s on the changed address: number %d, %v; want %d", more.protocol, got, err, n)
		}
		if info, err := os.Stat(filepath.Join(dir, "scgi")); err != nil || info.Mode().Perm() != []os.FileMode{0o600, 0o660}[n%2] {
			t.Errorf("the mode is %v, %v", info.Mode(), err)
		}
		testkit.Until(t, "more requests", func() bool { return requests.Load() > before+20 || t.Failed() })
		if more.protocol != "" {
			requests.Add(1)
		}
		now := r.d.Stats()
		for p, c := range counted.Connections {
			if now.Connections[p].Accepted < c.Accepted {
				t.Errorf("%s: %d connections after %d", p, now.Connections[p].Accepted, c.Accepted)
			}
		}
		if now.Requests.Count() <= counted.Requests.Count() || now.Reloads.Succeeded != uint64(n) || len(now.Applications) != 2 || now.Applications[1].Application != "/" {
			t.Errorf("after reload %d: %d requests after %d, %+v", n, now.Requests.Count(), counted.Requests.Count(), now.Reloads)
		}
	}
	close(stop)
	clients.Wait()
	r.stop()
	if got := r.d.Stats(); got.Requests.Count() != uint64(requests.Load()) || got.Requests.InFlight != 0 || got.Applications[1].BytesOut == 0 {
		t.Errorf("%d requests were counted of %d", got.Requests.Count(), requests.Load())
	}
	t.Logf("%d requests, %d reloads", requests.Load(), *reloads)
	if t.Failed() {
		t.Logf("log:\n%s", &r.log)
	}
}

// TestReloadInFlight: a request in flight ends under the configuration under which it began,
// whose applications are closed then, and not before. More than 16 such configurations are
// refused.
func TestReloadInFlight(t *testing.T) {
	dir := t.TempDir()
	config := func(k Kind) Config {
		return Config{Apps: []App{{Prefix: "/", Kind: k}}, HTTP: []Address{{Kind: AddressUnix, Path: filepath.Join(dir, "h"), Mode: 0o600}}}
	}
	var kinds []*wordKind
	fresh := func() *wordKind {
		kinds = append(kinds, &wordKind{builtin: builtin{"hello"}, number: len(kinds), held: make(chan struct{})})
		return kinds[len(kinds)-1]
	}
	r := serveReloaded(t, config(fresh()), true)
	client := &http.Client{Transport: &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
		return net.Dial("unix", filepath.Join(dir, "h"))
	}}}
	connect(t, filepath.Join(dir, "h")).Close()
	defer client.CloseIdleConnections()
	responses := make([]chan string, maxOld)
	for i := range maxOld {
		responses[i] = make(chan string, 1)
		go func() {
			resp, err := client.Get("http://gate/held")
			if err != nil {
				responses[i] <- err.Error()
				return
			}
			defer resp.Body.Close()
			body, err := io.ReadAll(resp.Body)
			responses[i] <- fmt.Sprint(string(body), err)
		}()
		testkit.Receive(t, "a request", kinds[i].held)
		next := config(fresh())
		if err := r.reload(&next, nil); err != nil {
			t.Fatal(err)
		}
	}
	next := config(fresh())
	if err := r.reload(&next, nil); err == nil || !strings.HasPrefix(err.Error(), "16 older configurations still have requests in flight") {
		t.Errorf("reload: %v", err)
	}
	for i := range maxOld {
		if kinds[i].closed.Load() {
			t.Errorf("application %d is closed while its request is in flight", i)
		}
		kinds[i].held <- struct{}{}
		if got, want := testkit.Receive(t, "a response", responses[i]), fmt.Sprintf("number %d.<nil>", i); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		testkit.Until(t, "the application to be closed", kinds[i].closed.Load)
	}
	testkit.Until(t, "the old configurations to be gone", func() bool { return r.reload(&next, nil) == nil })
	if kinds[maxOld+1].closed.Load() {
		t.Error("the application that serves is closed")
	}
	r.stop()
	for i, k := range kinds {
		if !k.closed.Load() {
			t.Errorf("application %d is not closed", i)
		}
	}
}

// TestReloadRefused: what is wrong changes nothing, closes what was new, and is logged in a
// line for each problem.
func TestReloadRefused(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) Address {
		return Address{Kind: AddressUnix, Path: filepath.Join(dir, name), Mode: 0o600}
	}
	good := &wordKind{builtin: builtin{"hello"}}
	r := serveReloaded(t, Config{Apps: []App{{Prefix: "/", Kind: good}}, HTTP: []Address{at("h")}}, false)
	connect(t, at("h").Path).Close()
	ask := func() {
		t.Helper()
		c := &numberClient{protocol: gatehouse.HTTP, path: at("h").Path}
		if n, err := c.ask(); n != 0 || err != nil {
			t.Errorf("number %d, %v", n, err)
		}
	}
	ask()
	failed := uint64(0)
	descriptors := testkit.Descriptors(t)
	bad := &wordKind{builtin: builtin{"hello"}, err: errors.New("no")}
	unopened := &wordKind{builtin: builtin{"hello"}}
	changed := at("h")
	changed.Mode = 0o666
	for _, x := range []struct {
		c    *Config
		err  error
		want string
	}{
		{nil, errors.New("one\ntwo"), "one\ntwo"},
		{&Config{Apps: []App{{Prefix: "/", Kind: bad}}, HTTP: []Address{at("h"), at("new")}}, nil, "no"},
		{&Config{Apps: []App{{Prefix: "/", Kind: unopened}}, HTTP: []Address{changed, at("new")}, SCGI: []Address{{Kind: AddressDescriptor, FD: 9}}},
			nil, "fd:9: sockets are passed only when gatehouse is started: restart it"},
		{&Config{Apps: []App{{Prefix: "/", Kind: unopened}}, SCGI: []Address{changed}, HTTP: []Address{{Kind: AddressDescriptor, FD: 9}}},
			nil, "fd:9: sockets are passed only when gatehouse is started: restart it"},
	} {
		if err := r.reload(x.c, x.err); err == nil || err.Error() != x.want {
			t.Errorf("reload: %v, want %q", err, x.want)
		}
		failed++
		if got := r.d.Stats().Reloads; got.Failed != failed || got.Succeeded != 0 || got.Failure != x.want || got.Last.IsZero() {
			t.Errorf("%+v", got)
		}
		for line := range strings.SplitSeq(x.want, "\n") {
			if want := "configuration not reloaded: the old one stays"; !strings.Contains(r.log.String(), want) || !strings.Contains(r.log.String(), line) {
				t.Errorf("no line about %q:\n%s", line, &r.log)
			}
		}
		if _, err := os.Lstat(at("new").Path); err == nil {
			t.Error("a socket is left")
		}
		info, err := os.Lstat(at("h").Path)
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("the mode is %v, %v", info.Mode(), err)
		}
		ask()
	}
	if !bad.closed.Load() || !unopened.closed.Load() || good.closed.Load() {
		t.Errorf("closed: %v, %v and %v; want the new ones", bad.closed.Load(), unopened.closed.Load(), good.closed.Load())
	}
	testkit.Until(t, "the descriptors that were there", func() bool { return testkit.Descriptors(t) <= descriptors })
}
