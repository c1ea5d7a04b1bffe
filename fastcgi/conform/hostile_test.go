package conform

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/fastcgi/record"
	"gatehouse/internal/testkit"
)

// serveFunc serves each connection with a function, until the test ends.
func serveFunc(t *testing.T, serve func(net.Conn)) Target {
	t.Helper()
	l := testkit.Listen(t, "unix")
	var conns sync.WaitGroup
	conns.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			conns.Go(func() {
				defer c.Close()
				serve(c)
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		conns.Wait()
	})
	return Target{Network: "unix", Address: l.Addr().String(), Timeout: testkit.Patience, Quiet: time.Millisecond}
}

// repeat writes b until the other side has gone.
func repeat(c net.Conn, b []byte) {
	for {
		if _, err := c.Write(b); err != nil {
			return
		}
	}
}

// Endpoints that serve no request: F20a says so, and why.
func TestNoAnswer(t *testing.T) {
	output := record.AppendRecord(nil, record.Stdout, 1, make([]byte, record.MaxAligned))
	var ids []byte
	for id := uint16(1); id < 100; id++ {
		ids = record.AppendRecord(ids, record.Stdout, id, nil)
	}
	for _, tt := range []struct {
		name  string
		serve func(net.Conn)
		seen  string
	}{
		{"silent", func(c net.Conn) { io.Copy(io.Discard, c) }, errSilent.Error()},
		{"flood", func(c net.Conn) { repeat(c, output) }, errFlood.Error()},
		{"ids", func(c net.Conn) { repeat(c, ids) }, errManyIDs.Error()},
		{"closes", func(net.Conn) {}, errGone.Error()},
		{"garbage", func(c net.Conn) { repeat(c, []byte("HTTP/1.1 400 Bad Request\r\n\r\n")) }, "by a record of another version"},
		{"half a record", func(c net.Conn) { c.Write([]byte{1, 6, 0, 1, 0, 8}) }, errGone.Error()},
	} {
		t.Run(tt.name, func(t *testing.T) {
			target := serveFunc(t, tt.serve)
			if tt.name == "silent" {
				target.Timeout = limit / 10
			}
			r, err := target.Run(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if r.Passed != 0 || r.Failed != 1 || r.Passed+r.Failed+r.NotApplicable != len(clauses) {
				t.Errorf("%d pass, %d fail, %d not applicable", r.Passed, r.Failed, r.NotApplicable)
			}
			if got := r.explain(Fail); !strings.Contains(got, "F20a: ") || !strings.Contains(got, tt.seen) {
				t.Errorf("got %q, want %q", got, tt.seen)
			}
		})
	}
}

// An endpoint that serves the plain request, and floods when it is asked for values.
func TestFloodOfManagement(t *testing.T) {
	b := &broken{}
	target := serveFunc(t, func(c net.Conn) {
		head := make(record.Header, record.HeaderLen)
		if _, err := io.ReadFull(c, head); err != nil {
			return
		}
		if head.Type() == record.GetValues && head.ID() == 0 {
			repeat(c, record.AppendRecord(nil, record.GetValuesResult, 0, bytes.Repeat([]byte{1, 1, 'a', 'b'}, 1000)))
			return
		}
		b.serve(&rejoined{c, io.MultiReader(bytes.NewReader(head), c)})
	})
	r, err := target.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got, want := strings.Join(r.failed(), " "), "F13a F13b F13c"; got != want {
		t.Errorf("failed: %s, want %s%s", got, want, r.explain(Fail))
	}
}

// A rejoined connection reads what was taken off it again.
type rejoined struct {
	net.Conn
	r io.Reader
}

func (c *rejoined) Read(p []byte) (int, error) { return c.r.Read(p) }

func TestNotReached(t *testing.T) {
	target := Target{Network: "unix", Address: filepath.Join(t.TempDir(), "none")}
	r, err := target.Run(t.Context())
	if r != nil || err == nil || !strings.Contains(err.Error(), "cannot be reached: ") {
		t.Errorf("got %v, %v", r, err)
	}
}

func TestCancelled(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("enough")
	target := serveFunc(t, func(c net.Conn) {
		cancel(why)
		io.Copy(io.Discard, c)
	})
	target.Timeout = time.Hour
	if r, err := target.Run(ctx); r != nil || !errors.Is(err, why) {
		t.Errorf("got %v, %v", r, err)
	}
}

func TestStatus(t *testing.T) {
	for _, tt := range []struct {
		out  string
		code int
		err  string
	}{
		{"Content-Type: a/b\r\n\r\n", 200, ""},
		{"Content-Type: a/b\n\nbody", 200, ""},
		{"Status: 404 Not Found\r\n\r\n", 404, ""},
		{"status:201\n\n", 201, ""},
		{"Location: /\n\n", 302, ""},
		{"Location: /\nStatus: 307\n\n", 307, ""},
		{"", 0, "no output"},
		{"HTTP/1.1 200 OK\r\nContent-Type: a/b\r\n\r\n", 0, "HTTP status line"},
		{"Content-Type: a/b\r\n", 0, "does not end"},
		{"\r\nbody", 0, "has none of"},
		{"X-Other: 1\n\n", 0, "has none of"},
		{"nonsense\n\n", 0, `"nonsense" is not a header field`},
		{"Status: \x1b[31m\n\n", 0, `the Status field is "\x1b[31m"`},
		{"Status: 42\n\n", 0, "the Status field is"},
	} {
		a := new(response)
		if tt.out != "" {
			a.add(record.Stdout, []byte(tt.out))
		}
		code, err := a.status()
		if code != tt.code || (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
			t.Errorf("%q: got %d, %v; want %d, %q", tt.out, code, err, tt.code, tt.err)
		}
	}
}
