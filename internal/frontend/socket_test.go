package frontend

import (
	"net"
	"testing"
)

// TestWaitKick: on what is no socket, as a named pipe, a wait lasts until a Kick, which lasts
// until Unkick, or until Close.
func TestWaitKick(t *testing.T) {
	ours, theirs := net.Pipe()
	defer theirs.Close()
	s := NewSocket(ours)
	begun, done := make(chan struct{}), make(chan error)
	wait := func() {
		begun <- struct{}{}
		done <- s.WaitGone()
	}
	go wait()
	<-begun
	select {
	case err := <-done:
		t.Fatalf("%v before the Kick", err)
	default:
	}
	s.Kick()
	if err := <-done; !IsKick(err) {
		t.Errorf("%v; want a Kick", err)
	}
	if err := s.WaitGone(); !IsKick(err) {
		t.Errorf("%v before Unkick; want a Kick", err)
	}
	s.Unkick()
	go wait()
	<-begun
	select {
	case err := <-done:
		t.Fatalf("%v after Unkick", err)
	default:
	}
	s.Close()
	<-done
}
