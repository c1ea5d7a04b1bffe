package client

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"testing"
	"time"

	"gatehouse/fastcgi/record"
	"gatehouse/internal/nowait"
	"gatehouse/internal/testkit"
)

// large is a record's worth of bytes that tell their place.
func large(n int) []byte {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{1}).Read(b)
	return b
}

// newPipe returns a pipe that is closed when the test ends.
func newPipe(t testing.TB) *nowait.Pipe {
	p := nowait.NewPipe()
	if p == nil {
		t.Fatal("no pipe")
	}
	t.Cleanup(p.Close)
	return p
}

// sockets returns a Conn and the socket of its application.
func sockets(t testing.TB, network string) (*Conn, net.Conn) {
	near, far := testkit.Pair(t, network)
	c := New(near)
	t.Cleanup(func() { c.Close() })
	return c, far
}

// drain reads what is in a pipe.
func drain(t testing.TB, p *nowait.Pipe, n int) []byte {
	b := make([]byte, n)
	for got := 0; got < n; {
		m, err := p.Read(b[got:])
		if err != nil || m == 0 {
			t.Fatalf("%d of %d bytes in the pipe, %v", got, n, err)
		}
		got += m
	}
	return b
}

// TestReadPipe: whatever records come, in whatever pieces, and however they are read, the bytes
// are those of the stream, in their order. Now and then a deadline passes.
func TestReadPipe(t *testing.T) {
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 0))
		c, far := sockets(t, []string{"unix", "tcp"}[seed%2])
		var want, sent []byte
		for range 40 {
			content := large([]int{r.IntN(100), r.IntN(5000), leaveFrom + r.IntN(record.MaxContent-leaveFrom+1)}[r.IntN(3)])
			padding := []int{0, r.IntN(256)}[r.IntN(2)]
			typ := []record.Type{record.Stdout, record.Stdout, record.Stdout, record.Stderr}[r.IntN(4)]
			if len(content) == 0 {
				continue
			}
			sent = record.AppendHeader(sent, typ, 1, len(content), padding)
			sent = append(append(sent, content...), make([]byte, padding)...)
			if typ == record.Stdout {
				want = append(want, content...)
			}
		}
		sent = append(sent, ended(1, 0, record.RequestComplete)...)
		piece := []int{len(sent), 70_000, 10_000, 1000}[r.IntN(4)]
		done := meanwhile(func() {
			for b := sent; len(b) > 0; {
				n := min(len(b), 1+r.IntN(piece))
				if _, err := far.Write(b[:n]); err != nil {
					return
				}
				b = b[n:]
			}
		})
		resp, err := c.Begin(t.Context(), &Request{KeepConn: true})
		if err != nil {
			t.Fatal(err)
		}
		p, choice := newPipe(t), rand.New(rand.NewPCG(seed, 1))
		var got []byte
		for {
			b := make([]byte, 1+choice.IntN(100_000))
			if choice.IntN(4) == 0 {
				resp.SetReadDeadline(time.Now().Add(time.Duration(choice.IntN(100)) * time.Microsecond))
			} else {
				resp.SetReadDeadline(time.Time{})
			}
			var n, moved int
			if choice.IntN(3) == 0 {
				n, err = resp.Read(b)
			} else {
				n, moved, err = resp.ReadPipe(b, p.In(), choice.IntN(100_000))
			}
			got = append(append(got, b[:n]...), drain(t, p, moved)...)
			if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
				break
			}
		}
		if err != io.EOF || !bytes.Equal(got, want) {
			t.Fatalf("seed %d: %d bytes, or other ones, %v; want %d", seed, len(got), err, len(want))
		}
		resp.Close()
		done()
		if err := c.Err(); err != nil {
			t.Errorf("seed %d: the connection cannot be kept: %v", seed, err)
		}
	}
}

// TestReadPipeLeast: what has come is moved once it is as much as was asked for.
func TestReadPipeLeast(t *testing.T) {
	c, far := sockets(t, "unix")
	resp, err := c.Begin(t.Context(), &Request{KeepConn: true})
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Close()
	content := large(60_000)
	far.Write(record.AppendHeader(nil, record.Stdout, 1, len(content), 0))
	far.Write(content[:40_000])
	p := newPipe(t)
	n, moved, err := resp.ReadPipe(make([]byte, 100), p.In(), 10_000)
	for n > 0 && err == nil { // what has come along with the header
		content = content[n:]
		n, moved, err = resp.ReadPipe(make([]byte, 100), p.In(), 10_000)
	}
	if moved < 10_000 || err != nil || !bytes.Equal(drain(t, p, moved), content[:moved]) {
		t.Fatalf("%d bytes, or other ones, were moved, %v", moved, err)
	}
}

// TestReadPipeHeader: a record of which only the header has come does not end the stream.
func TestReadPipeHeader(t *testing.T) {
	c, far := sockets(t, "unix")
	content := large(60_000)
	header := record.AppendHeader(nil, record.Stdout, 1, len(content), 0)
	far.Write(header)
	resp, err := c.Begin(t.Context(), &Request{KeepConn: true})
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Close()
	p := newPipe(t)
	for resp.x.left == 0 {
		resp.SetReadDeadline(time.Now().Add(time.Millisecond))
		if n, moved, err := resp.ReadPipe(make([]byte, 100), p.In(), 1); n+moved > 0 || err != os.ErrDeadlineExceeded {
			t.Fatalf("%d bytes, %d moved, %v", n, moved, err)
		}
	}
	resp.SetReadDeadline(time.Time{})
	far.Write(content)
	far.Write(append(append(header, content...), ended(1, 0, record.RequestComplete)...))
	if b, err := io.ReadAll(resp); err != nil || !bytes.Equal(b, append(content, content...)) {
		t.Errorf("%d bytes, or other ones, %v", len(b), err)
	}
}

// TestReadPipeFull: what the pipe does not take is read. So is all else, if the pipe has taken
// less than what was asked for.
func TestReadPipeFull(t *testing.T) {
	c, far := sockets(t, "unix")
	resp, err := c.Begin(t.Context(), &Request{KeepConn: true})
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Close()
	content := large(60_000)
	done := meanwhile(func() {
		for range 2 {
			far.Write(record.AppendHeader(nil, record.Stdout, 1, len(content), 0))
			for b := content; len(b) > 0; b = b[100:] {
				far.Write(b[:100]) // 256 KiB of pipe have 64 such pieces
			}
		}
		io.WriteString(far, ended(1, 0, record.RequestComplete))
	})
	p := newPipe(t)
	var got []byte
	total := 0
	for {
		b := make([]byte, 7000)
		n, moved, err := resp.ReadPipe(b, p.In(), 50_000)
		total += moved
		got = append(append(got, b[:n]...), drain(t, p, moved)...)
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	done()
	if !bytes.Equal(got, append(content, content...)) || total > 50_000 {
		t.Errorf("%d bytes, or other ones, %d of which were moved", len(got), total)
	}
}

// TestReadPipeCut: in the midst of a record that is moved, the context, the deadline and the end
// of the connection each have their error, and what had come before is there.
func TestReadPipeCut(t *testing.T) {
	cause := errors.New("cause")
	var truncated *TruncatedError
	for name, cut := range map[string]struct {
		by   func(resp *Response, far net.Conn, cancel func())
		want func(err error) bool
	}{
		"context":  {func(_ *Response, _ net.Conn, cancel func()) { cancel() }, func(err error) bool { return err == cause }},
		"end":      {func(_ *Response, far net.Conn, _ func()) { far.(*net.UnixConn).CloseWrite() }, func(err error) bool { return errors.As(err, &truncated) && errors.Is(err, io.ErrUnexpectedEOF) }},
		"deadline": {func(resp *Response, _ net.Conn, _ func()) { resp.SetReadDeadline(time.Now()) }, func(err error) bool { return err == os.ErrDeadlineExceeded }},
		"close":    {func(resp *Response, _ net.Conn, _ func()) { resp.x.conn.Close() }, func(err error) bool { return errors.As(err, &truncated) && errors.Is(err, ErrClosed) }},
	} {
		t.Run(name, func(t *testing.T) {
			c, far := sockets(t, "unix")
			ctx, cancel := context.WithCancelCause(t.Context())
			defer cancel(nil)
			resp, err := c.Begin(ctx, &Request{KeepConn: true})
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Close()
			resp.Watch()
			content := large(60_000)
			far.Write(append(record.AppendHeader(nil, record.Stdout, 1, len(content), 0), content[:50_000]...))
			p := newPipe(t)
			var got []byte
			for len(got) < 50_000 {
				b := make([]byte, 100)
				n, moved, err := resp.ReadPipe(b, p.In(), 1)
				if err != nil {
					t.Fatal(err)
				}
				got = append(append(got, b[:n]...), drain(t, p, moved)...)
			}
			if !bytes.Equal(got, content[:50_000]) {
				t.Error("other bytes have come")
			}
			cut.by(resp, far, func() { cancel(cause) })
			if n, moved, err := resp.ReadPipe(make([]byte, 100), p.In(), 1); n > 0 || moved > 0 || !cut.want(err) {
				t.Errorf("%d bytes, %d moved, %v", n, moved, err)
			}
		})
	}
}

// TestReadPipeSiblings: a request that begins while a record of another one is in the socket
// waits until that has been read, or its response closed.
func TestReadPipeSiblings(t *testing.T) {
	for _, closes := range []bool{true, false} {
		c, far := sockets(t, "unix")
		first, err := c.Begin(t.Context(), &Request{ID: 1, KeepConn: true})
		if err != nil {
			t.Fatal(err)
		}
		content := large(60_000)
		far.Write(append(record.AppendHeader(nil, record.Stdout, 1, len(content), 9), content[:50_000]...))
		p := newPipe(t)
		n, moved, err := first.ReadPipe(make([]byte, 60_000), p.In(), 1)
		if n+moved == 0 || err != nil {
			t.Fatalf("%d bytes, %d moved, %v", n, moved, err)
		}
		c.mu.Lock()
		if c.makeRoom() {
			t.Error("another request may read what is left")
		}
		c.mu.Unlock()
		second, err := c.Begin(t.Context(), &Request{ID: 2, KeepConn: true})
		if err != nil {
			t.Fatal(err)
		}
		defer second.Close()
		done := meanwhile(func() {
			far.Write(append(content[50_000:], make([]byte, 9)...))
			io.WriteString(far, ended(1, 0, record.RequestComplete)+stdout(2, "hello")+ended(2, 0, record.RequestComplete))
		})
		read := meanwhile(func() {
			if b, err := io.ReadAll(second); err != nil || string(b) != "hello" {
				t.Errorf("%q, %v", b, err)
			}
		})
		if !closes {
			rest, err := io.Copy(io.Discard, first)
			if got := n + moved + int(rest); got != len(content) || err != nil {
				t.Errorf("%d bytes, %v", got, err)
			}
		}
		first.Close()
		read()
		done()
	}
}
