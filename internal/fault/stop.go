// Package fault makes happen, as often as a test likes, what a gateway has to survive:
//
//   - a peer that stops at any byte of its request, or of the response: [Stop];
//   - what such a peer can say of the response that it got: [Protocol.Response];
//   - a process that runs out of descriptors, processes, memory or disk, or whose stderr
//     nobody reads: [Child].
//
// Like internal/testkit it is for tests alone.
package fault

import (
	"io"
	"net"
)

// A Way is how a peer stops.
type Way string

const (
	// Close closes the connection. What has not been read is lost.
	Close Way = "close"

	// HalfClose sends no more, and says so (FIN), but reads on.
	HalfClose Way = "half-close"

	// Reset resets a TCP connection. A unix socket does that only if it is closed with
	// unread bytes, so there it is the same as Close.
	Reset Way = "reset"

	// Stall neither sends nor reads, and leaves the connection open.
	Stall Way = "stall"
)

// Ways returns all of them.
func Ways() []Way { return []Way{Close, HalfClose, Reset, Stall} }

// A Stop is where a peer stops, and how.
type Stop struct {
	Sent  int // bytes of its request that it sends before
	Taken int // bytes of the response that it reads before
	Way   Way

	// Wait, if not nil, is called by a peer that stalls. Then it reads on, to see the end.
	Wait func()
}

// Run is a peer that makes a request on c, and stops as s says. It returns what the peer
// has read, and how reading ended: nil is the end of the connection, or the peer's own. It
// closes c. The deadline of c bounds it, but for a Stall.
func (s Stop) Run(c net.Conn, request []byte) (received []byte, err error) {
	defer c.Close()
	// A connection that is closed meanwhile shows when it is read.
	c.Write(request[:min(s.Sent, len(request))])
	received = make([]byte, s.Taken)
	n, err := io.ReadFull(c, received)
	received = received[:n]
	if err != nil {
		return received, ended(err)
	}
	switch s.Way {
	case Close:
		return received, nil
	case Reset:
		if tcp, ok := c.(*net.TCPConn); ok {
			tcp.SetLinger(0)
		}
		return received, nil
	case HalfClose:
		c.(interface{ CloseWrite() error }).CloseWrite()
	case Stall:
		if s.Wait != nil {
			s.Wait()
		}
	}
	rest, err := io.ReadAll(c)
	return append(received, rest...), ended(err)
}

// ended returns err, but nil at the end of a connection.
func ended(err error) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return nil
	}
	return err
}
