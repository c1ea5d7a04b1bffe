// Package datagram sends messages to a server that may be slow, full, or restarted.
package datagram

import (
	"errors"
	"net"
	"os"
	"time"
)

const (
	sendWait  = time.Second           // for a server that takes nothing
	retryWait = 10 * time.Millisecond // for one that took nothing last time
)

// A Socket sends datagrams to one address, and connects again if its server was restarted. It
// may be used by one goroutine at a time.
type Socket struct {
	Network, Address string // as for net.Dial: "unixgram" or "udp"

	conn    net.Conn
	stalled bool // the last datagram was not taken in time
}

// Dial connects, so that an address where nobody listens shows. Send does it otherwise.
func (s *Socket) Dial() (err error) {
	s.Close()
	s.conn, err = net.DialTimeout(s.Network, s.Address, sendWait)
	if err != nil {
		s.conn = nil
	}
	return err
}

// Send sends a datagram. It waits for up to a second if the server is full, and no longer for
// the next ones until it takes one. A datagram that was not sent is lost.
func (s *Socket) Send(p []byte) error {
	fresh := s.conn == nil
	if fresh {
		if err := s.Dial(); err != nil {
			return err
		}
	}
	err := s.write(p)
	if err == nil || fresh || errors.Is(err, os.ErrDeadlineExceeded) || tooLong(err) {
		return err
	}
	if err := s.Dial(); err != nil { // of a server that was restarted
		return err
	}
	return s.write(p)
}

func (s *Socket) write(p []byte) error {
	wait := sendWait
	if s.stalled {
		wait = retryWait
	}
	if err := s.conn.SetWriteDeadline(time.Now().Add(wait)); err != nil {
		return err
	}
	_, err := s.conn.Write(p)
	s.stalled = errors.Is(err, os.ErrDeadlineExceeded)
	return err
}

// Close closes the connection. Send makes another one.
func (s *Socket) Close() error {
	if s.conn == nil {
		return nil
	}
	err := s.conn.Close()
	s.conn = nil
	return err
}
