//go:build unix

package nowait

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"time"

	"gatehouse/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// pair returns both ends of a connection.
func pair(t *testing.T, network string) (*Conn, net.Conn) {
	near, far := testkit.Pair(t, network)
	return New(near), far
}

func TestConn(t *testing.T) {
	for _, network := range []string{"unix", "tcp"} {
		t.Run(network, func(t *testing.T) {
			c, far := pair(t, network)
			large := bytes.Repeat([]byte("0123456789abcdef"), 1<<18) // more than any socket takes
			echoed := make(chan error, 1)
			go func() {
				b := make([]byte, len(large))
				_, err := io.ReadFull(far, b)
				if err == nil && !bytes.Equal(b, large) {
					err = errors.New("other bytes came")
				}
				if err == nil {
					_, err = far.Write(b)
				}
				echoed <- err
			}()
			if n, err := c.Write(large); n != len(large) || err != nil {
				t.Fatalf("Write: %d, %v", n, err)
			}
			got := make([]byte, len(large))
			if _, err := io.ReadFull(c, got); err != nil || !bytes.Equal(got, large) {
				t.Fatalf("Read: %v, or other bytes", err)
			}
			if err := <-echoed; err != nil {
				t.Fatal(err)
			}
			far.Close()
			if n, err := c.Read(got); n != 0 || err != io.EOF {
				t.Errorf("Read at the end: %d, %v", n, err)
			}
		})
	}
}

// TestWriteRead: what is written is answered, and the answer read in the same step.
func TestWriteRead(t *testing.T) {
	for _, network := range []string{"unix", "tcp"} {
		t.Run(network, func(t *testing.T) {
			c, far := pair(t, network)
			go func() {
				b := make([]byte, 4)
				for {
					if _, err := io.ReadFull(far, b); err != nil {
						return
					}
					far.Write(append([]byte("got "), b...))
				}
			}()
			p := make([]byte, 100)
			for _, s := range []string{"one.", "two.", "last"} {
				w, n, err := c.WriteRead([]byte(s), p)
				if w != 4 || err != nil || string(p[:n]) != "got "+s {
					t.Fatalf("%q: wrote %d, read %q, %v", s, w, p[:n], err)
				}
			}
		})
	}
}

// TestWriteReadFull: what the socket does not take is the caller's to write.
func TestWriteReadFull(t *testing.T) {
	c, _ := pair(t, "unix")
	b := make([]byte, 16<<20)
	w, n, err := c.WriteRead(b, make([]byte, 10))
	if w == 0 || w == len(b) || n != 0 || err != nil {
		t.Errorf("wrote %d of %d, read %d, %v", w, len(b), n, err)
	}
}

// TestDeadlines are those of package net, errors included.
func TestDeadlines(t *testing.T) {
	c, far := pair(t, "unix")
	past := time.Unix(1, 0)
	timeout := func(what string, w int, err error, want int) {
		t.Helper()
		var ne net.Error
		if w != want || !errors.Is(err, os.ErrDeadlineExceeded) || !errors.As(err, &ne) || !ne.Timeout() {
			t.Errorf("%s: wrote %d, %v", what, w, err)
		}
	}
	c.SetReadDeadline(past)
	w, _, err := c.WriteRead([]byte("never"), make([]byte, 10))
	timeout("a deadline that has passed", w, err, 0)

	c.SetReadDeadline(time.Time{})
	go func() {
		io.ReadFull(far, make([]byte, 5))
		c.SetReadDeadline(past) // all has been written
	}()
	w, _, err = c.WriteRead([]byte("whole"), make([]byte, 10))
	timeout("a deadline that passes later", w, err, 5)

	c.SetWriteDeadline(past)
	n, err := c.Write([]byte("x"))
	timeout("Write", n, err, 0)
}

// TestGone: a connection that was closed takes nothing, and the error says so.
func TestGone(t *testing.T) {
	c, far := pair(t, "unix")
	far.Close()
	w, n, err := c.WriteRead([]byte("x"), make([]byte, 10))
	if w != 0 || n != 0 || !errors.Is(err, syscall.EPIPE) {
		t.Errorf("wrote %d, read %d, %v", w, n, err)
	}
	if n, err := c.Write([]byte("x")); n != 0 || !errors.Is(err, syscall.EPIPE) {
		t.Errorf("Write: %d, %v", n, err)
	}
	c.Close()
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Read after Close: %v", err)
	}
}

func TestQuiet(t *testing.T) {
	c, far := pair(t, "unix")
	quiet := func() (quiet bool) {
		raw, _ := c.SyscallConn()
		raw.Control(func(fd uintptr) { quiet = Quiet(fd) })
		return quiet
	}
	if !quiet() {
		t.Error("a fresh connection is not quiet")
	}
	far.Write([]byte("unasked"))
	if quiet() {
		t.Error("quiet although something has come")
	}
	if _, err := io.ReadFull(c, make([]byte, 7)); err != nil {
		t.Fatal(err)
	}
	if !quiet() {
		t.Error("not quiet after that was read")
	}
	far.Close()
	if quiet() {
		t.Error("quiet although it was closed")
	}
}

func TestReadNow(t *testing.T) {
	c, far := pair(t, "unix")
	p := make([]byte, 10)
	if n, err := c.ReadNow(p); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("before anything has come: %d, %v", n, err)
	}
	far.Write([]byte("hello"))
	if n, err := c.ReadNow(p); string(p[:n]) != "hello" || err != nil {
		t.Errorf("%q, %v", p[:n], err)
	}
	far.Close()
	if n, err := c.ReadNow(p); n != 0 || err != io.EOF {
		t.Errorf("at the end: %d, %v", n, err)
	}
	c.Close()
	if _, err := c.ReadNow(p); !errors.Is(err, net.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}

func TestNewOfOthers(t *testing.T) {
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	if New(a) != nil {
		t.Error("a pipe is no socket")
	}
}

// TestWriteBuffers: all is written, however much the socket takes at once, empty buffers
// included.
func TestWriteBuffers(t *testing.T) {
	c, far := pair(t, "unix")
	var want []byte
	var buffers net.Buffers
	for i := range 40 {
		b := bytes.Repeat([]byte{byte(i)}, i*1000)
		buffers, want = append(buffers, b), append(want, b...)
	}
	got := make(chan []byte, 1)
	go func() {
		b := make([]byte, len(want))
		io.ReadFull(far, b)
		got <- b
	}()
	n, err := c.WriteBuffers(&buffers)
	if n != int64(len(want)) || err != nil || len(buffers) != 0 {
		t.Errorf("wrote %d of %d, %v, %d buffers are left", n, len(want), err, len(buffers))
	}
	if !bytes.Equal(testkit.Receive(t, "the bytes", got), want) {
		t.Error("other bytes came")
	}
	far.Close()
	buffers = net.Buffers{[]byte("x"), []byte("y")}
	if n, err := c.WriteBuffers(&buffers); n != 0 || !errors.Is(err, syscall.EPIPE) {
		t.Errorf("to one that is gone: wrote %d, %v", n, err)
	}
}

// TestWriters: several may write, and what each writes stays in one piece.
func TestWriters(t *testing.T) {
	c, far := pair(t, "unix")
	const each = 100_000
	got := make(chan []byte, 1)
	go func() {
		b := make([]byte, 3*each)
		io.ReadFull(far, b)
		got <- b
	}()
	for i := range 3 {
		go c.Write(bytes.Repeat([]byte{byte(i)}, each))
	}
	b := testkit.Receive(t, "the bytes", got)
	for i := range 3 {
		if piece := b[i*each : (i+1)*each]; bytes.Count(piece, piece[:1]) != each {
			t.Errorf("piece %d is mixed", i)
		}
	}
}
