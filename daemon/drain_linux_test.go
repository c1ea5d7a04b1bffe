package daemon

import (
	"bytes"
	"context"
	"errors"
	commandline "flag"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"gatehouse"
	"gatehouse/fastcgi/record"
	"gatehouse/internal/testkit"
	"gatehouse/scgi"
)

var drainRequests = commandline.Int("drain.requests", 400, "how many requests TestDrainLosesNothing makes for each protocol and kind of socket, at least")

// requestsPerDrain is how many of them come before a signal, on average.
const requestsPerDrain = 50

// The requests of TestDrainLosesNothing, as bytes: GET /, and the end of the connection
// after the response.
var drainRequest = map[gatehouse.Protocol][]byte{
	gatehouse.HTTP: []byte("GET / HTTP/1.1\r\nHost: gate\r\nConnection: close\r\n\r\n"),
	gatehouse.SCGI: scgi.AppendNetstring(nil, []byte("CONTENT_LENGTH\x000\x00SCGI\x001\x00REQUEST_METHOD\x00GET\x00SCRIPT_NAME\x00/\x00")),
	gatehouse.FastCGI: record.AppendRecord(record.AppendRecord(record.AppendRecord(
		record.AppendBegin(nil, 1, record.Responder, 0),
		record.Params, 1, []byte("\x0e\x03REQUEST_METHODGET\x0b\x01SCRIPT_NAME/")), record.Params, 1, nil), record.Stdin, 1, nil),
}

// A drainTarget is a protocol on a kind of socket.
type drainTarget struct {
	protocol gatehouse.Protocol
	network  string
	served   atomic.Int64 // requests, in all
}

// isWhole reports whether the bytes are a response to the end.
func (d *drainTarget) isWhole(response []byte) bool {
	end := []byte("hello world\n")
	if d.protocol == gatehouse.FastCGI {
		i := bytes.Index(response, end)
		return i >= 0 && bytes.HasSuffix(response[i:], record.AppendEndRequest(nil, 1, 0, record.RequestComplete))
	}
	return bytes.HasSuffix(response, end)
}

// TestDrainLosesNothing has clients that make a connection for each request, as fast as
// they can, while SIGTERM comes, again and again: each request that was sent on a
// connection gets its response. Connecting may fail once the signal has been sent.
func TestDrainLosesNothing(t *testing.T) {
	var targets []*drainTarget
	for _, protocol := range []gatehouse.Protocol{gatehouse.FastCGI, gatehouse.SCGI, gatehouse.HTTP} {
		for _, network := range []string{"unix", "tcp"} {
			targets = append(targets, &drainTarget{protocol: protocol, network: network})
		}
	}
	least := func() int64 {
		n := targets[0].served.Load()
		for _, target := range targets {
			n = min(n, target.served.Load())
		}
		return n
	}
	drains := 0
	for ; least() < int64(*drainRequests) && !t.Failed(); drains++ {
		drainOnce(t, targets)
	}
	for _, target := range targets {
		t.Logf("%s on %s: %d requests, %d drains", target.protocol, target.network, target.served.Load(), drains)
	}
}

// drainOnce opens a daemon, which clients send requests to, and drains it.
func drainOnce(t *testing.T, targets []*drainTarget) {
	dir := t.TempDir()
	var c Config
	c.Apps = []App{{Prefix: "/", Kind: Hello()}}
	for _, target := range targets {
		a := Address{Kind: AddressTCP, Host: "127.0.0.1"}
		if target.network == "unix" {
			a = Address{Kind: AddressUnix, Path: filepath.Join(dir, string(target.protocol)), Mode: 0o600}
		}
		switch target.protocol {
		case gatehouse.FastCGI:
			c.FastCGI = append(c.FastCGI, a)
		case gatehouse.SCGI:
			c.SCGI = append(c.SCGI, a)
		case gatehouse.HTTP:
			c.HTTP = append(c.HTTP, a)
		}
	}
	d, err := Open(c, Environment{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	clients := &drainClients{t: t, enough: make(chan struct{})}
	clients.left.Store(int64(requestsPerDrain * len(targets)))
	var stop context.CancelFunc
	clients.up, stop = context.WithCancel(context.Background())
	var ended sync.WaitGroup
	for _, target := range targets {
		for _, e := range d.generation.endpoints {
			if a := e.Listener.Addr(); e.Protocol == target.protocol && a.Network() == target.network {
				ended.Go(func() { clients.run(target, a, 0) })
				ended.Go(func() { clients.run(target, a, len(drainRequest[e.Protocol])/2) })
			}
		}
	}
	signals, served := make(chan os.Signal, 1), make(chan error, 1)
	go func() { served <- d.Serve(context.Background(), signals) }()
	testkit.Receive(t, "enough requests", clients.enough)
	clients.draining.Store(true)
	signals <- syscall.SIGTERM
	if err := testkit.Receive(t, "the end of the drain", served); err != nil {
		t.Errorf("Serve returned %v", err)
	}
	stop() // who waits to connect
	ended.Wait()
}

// drainClients are the clients of one daemon.
type drainClients struct {
	t        *testing.T
	up       context.Context // until the daemon has ended
	left     atomic.Int64    // requests until enough is closed
	enough   chan struct{}
	once     sync.Once
	draining atomic.Bool
}

// run makes requests until connecting fails. It sends the first bytes of each, if there
// are to be any, by themselves.
func (c *drainClients) run(target *drainTarget, a net.Addr, first int) {
	for {
		conn, err := new(net.Dialer).DialContext(c.up, a.Network(), a.String())
		if err != nil {
			refused := errors.Is(err, syscall.ECONNREFUSED) || a.Network() == "unix" && errors.Is(err, os.ErrNotExist)
			if !c.draining.Load() || !refused && c.up.Err() == nil {
				c.fail("%s on %s: %v", target.protocol, target.network, err)
			}
			return
		}
		if response, err := exchange(conn, drainRequest[target.protocol], first); err != nil || !target.isWhole(response) {
			c.fail("%s on %s: got %q, %v", target.protocol, target.network, response, err)
			return
		}
		target.served.Add(1)
		if c.left.Add(-1) == 0 {
			c.once.Do(func() { close(c.enough) })
		}
	}
}

func (c *drainClients) fail(format string, args ...any) {
	c.t.Errorf(format, args...)
	c.once.Do(func() { close(c.enough) })
}

// exchange sends a request, in two parts, and returns what comes until the end of the
// connection.
func exchange(conn net.Conn, request []byte, first int) ([]byte, error) {
	defer conn.Close()
	for _, part := range [][]byte{request[:first], request[first:]} {
		if _, err := conn.Write(part); err != nil {
			return nil, err
		}
	}
	return io.ReadAll(conn)
}
