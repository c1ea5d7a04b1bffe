package frontend

import (
	"errors"
	"io"
	"net"
	"os"
	"testing"

	"gatehouse/internal/testkit"
)

// pair returns the two ends of a connection, ours as a Socket.
func pair(t *testing.T, network string) (ours *Socket, peer net.Conn) {
	t.Helper()
	peer, c := testkit.Pair(t, network)
	return NewSocket(c), peer
}

func each(t *testing.T, f func(t *testing.T, network string)) {
	for _, network := range []string{"unix", "tcp"} {
		t.Run(network, func(t *testing.T) { f(t, network) })
	}
}

func TestReadFirst(t *testing.T) {
	each(t, func(t *testing.T, network string) {
		s, peer := pair(t, network)
		io.WriteString(peer, "hello")
		for _, take := range []func() (*Buffer, int, error){s.PeekFirst, s.PeekFirst, s.ReadFirst} {
			b, n, err := take()
			if err != nil || string(b[:n]) != "hello" {
				t.Fatalf("got %v, %v; want hello", n, err)
			}
			PutBuffer(b)
		}
		done := make(chan error)
		go func() {
			_, _, err := s.ReadFirst()
			done <- err
		}()
		s.Kick()
		if err := <-done; !IsKick(err) {
			t.Errorf("a kicked ReadFirst returned %v", err)
		}
		s.Unkick()
		peer.Close()
		if b, _, err := s.ReadFirst(); b != nil || err != io.EOF {
			t.Errorf("at the end ReadFirst returned %v", err)
		}
	})
}

func TestPeek(t *testing.T) {
	each(t, func(t *testing.T, network string) {
		s, peer := pair(t, network)
		io.WriteString(peer, "hello")
		p := make([]byte, 2)
		for range 2 {
			if n, err := s.Peek(p); n != 2 || err != nil || string(p) != "he" {
				t.Fatalf("Peek = %d, %v, %q", n, err, p)
			}
		}
		b, n, err := s.ReadFirst()
		if err != nil || string(b[:n]) != "hello" {
			t.Errorf("ReadFirst = %d, %v", n, err)
		}
		PutBuffer(b)
		peer.Close()
		if _, err := s.Peek(p); err != io.EOF {
			t.Errorf("at the end Peek returned %v", err)
		}
	})
}

// TestWaitGone: a peer that has closed is seen behind bytes that nobody has read. One
// that has only ended its sending has gone on TCP, unless HalfClose says otherwise,
// and has not on a unix socket.
func TestWaitGone(t *testing.T) {
	each(t, func(t *testing.T, network string) {
		s, peer := pair(t, network)
		io.WriteString(peer, "unread")
		if s.Gone() {
			t.Error("a peer that is there has gone")
		}
		done := make(chan error)
		go func() { done <- s.WaitGone() }()
		s.Kick()
		if err := <-done; !IsKick(err) {
			t.Errorf("a kicked WaitGone returned %v", err)
		}
		s.Unkick()
		peer.(interface{ CloseWrite() error }).CloseWrite()
		if network == "tcp" {
			if err := s.WaitGone(); err != nil {
				t.Error(err)
			}
			s.HalfClose = true
		}
		if s.Gone() {
			t.Error("a peer that only ended its sending has gone")
		}
		go func() { done <- s.WaitGone() }()
		if network == "tcp" {
			peer.(*net.TCPConn).SetLinger(0) // a reset shows at once
		}
		peer.Close()
		if err := <-done; err != nil || !s.Gone() {
			t.Errorf("WaitGone returned %v, and Gone() is %v", err, s.Gone())
		}
	})
}

func TestUnsent(t *testing.T) {
	each(t, func(t *testing.T, network string) {
		s, peer := pair(t, network)
		if n := s.Unsent(); n != 0 {
			t.Errorf("Unsent() = %d on a new connection", n)
		}
		if network == "tcp" {
			return // acknowledged as soon as it has arrived
		}
		s.Write([]byte("hello"))
		if n := s.Unsent(); n <= 0 {
			t.Errorf("Unsent() = %d before the peer reads", n)
		}
		io.ReadFull(peer, make([]byte, 5))
		if n := s.Unsent(); n != 0 {
			t.Errorf("Unsent() = %d after the peer has read", n)
		}
	})
}

// TestPipe: a connection without a descriptor can be read, and nothing else.
func TestPipe(t *testing.T) {
	ours, peer := net.Pipe()
	defer ours.Close()
	defer peer.Close()
	s := NewSocket(ours)
	if s.CanPeek() || s.CanWatch() || s.Gone() || s.Unsent() != -1 {
		t.Error("it can do what it cannot")
	}
	if _, err := s.Peek(nil); !errors.Is(err, os.ErrInvalid) {
		t.Errorf("Peek returned %v", err)
	}
	if _, _, err := s.PeekFirst(); !errors.Is(err, os.ErrInvalid) {
		t.Errorf("PeekFirst returned %v", err)
	}
	go io.WriteString(peer, "hello")
	b, n, err := s.ReadFirst()
	if err != nil || string(b[:n]) != "hello" {
		t.Errorf("ReadFirst = %d, %v", n, err)
	}
	PutBuffer(b)
}
