package frontend

import (
	"bytes"
	"io"
	"net"
	"testing"

	"golang.org/x/sys/unix"
)

// TestReadVector: bytes go to the caller's slice first, and what comes behind them to
// a buffer that is no larger than wanted.
func TestReadVector(t *testing.T) {
	s, theirs := pair(t, "unix")
	if !s.CanReadVector() {
		t.Fatal("no ReadVector on a unix socket")
	}
	p := make([]byte, 4)
	for _, c := range []struct {
		send         string
		window       int
		want, behind string
		left         string
	}{
		{"ab", 8, "ab", "", ""},
		{"abcd", 8, "abcd", "", ""},
		{"abcdef", 8, "abcd", "ef", ""},
		{"abcdefgh", 2, "abcd", "ef", "gh"},
	} {
		io.WriteString(theirs, c.send)
		n, b, m, err := s.ReadVector(p, c.window)
		if err != nil || string(p[:n]) != c.want || (b == nil) != (c.behind == "") || b != nil && string(b[:m]) != c.behind {
			t.Fatalf("%q: %q, %d behind, %v", c.send, p[:n], m, err)
		}
		if b != nil {
			PutBuffer(b)
		}
		rest := make([]byte, len(c.left))
		if _, err := io.ReadFull(s, rest); err != nil || string(rest) != c.left {
			t.Errorf("%q: %q left, %v", c.send, rest, err)
		}
	}
	s.Kick()
	if _, _, _, err := s.ReadVector(p, 8); !IsKick(err) {
		t.Errorf("after Kick: %v", err)
	}
	s.Unkick()
	theirs.Close()
	if n, b, _, err := s.ReadVector(p, 8); n != 0 || b != nil || err != io.EOF {
		t.Errorf("at the end: %d, %v", n, err)
	}
	s.Close()
	if _, _, _, err := s.ReadVector(p, 8); err == nil {
		t.Error("no error after Close")
	}
}

// TestGrowSendBuffer: a writer gets further ahead of its reader, on a unix socket only.
func TestGrowSendBuffer(t *testing.T) {
	fill := func(s *Socket) (n int) {
		block := bytes.Repeat([]byte("x"), 4096)
		err := s.raw.Control(func(fd uintptr) {
			for {
				m, err := unix.Write(int(fd), block)
				if err != nil {
					return
				}
				n += m
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	small, _ := pair(t, "unix")
	before := fill(small)
	large, _ := pair(t, "unix")
	large.GrowSendBuffer()
	large.GrowSendBuffer()
	if after := fill(large); after <= before {
		t.Errorf("%d bytes fit before, %d after", before, after)
	}
}

// TestVectorOfAPipe: what is no socket has neither.
func TestVectorOfAPipe(t *testing.T) {
	other, far := net.Pipe()
	defer far.Close()
	defer other.Close()
	s := NewSocket(other)
	s.GrowSendBuffer()
	if s.CanReadVector() {
		t.Error("ReadVector on a pipe")
	}
}
