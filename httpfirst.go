package gatehouse

import "gatehouse/internal/wrongport"

// firstBytes are those of a connection, from which a peer is recognised that does not speak
// HTTP: net/http responds with 400, and tells nobody.
type firstBytes struct {
	known bool
	few   []byte // that have come so far; nil if the first read brings enough
}

// recognize returns the peer if it does not speak HTTP, as far as what has come says, of which
// b comes next.
func (f *firstBytes) recognize(b []byte) *wrongport.Peer {
	if f.known {
		return nil
	}
	if f.few != nil || len(b) < wrongport.Enough {
		f.few = append(f.few, b...)
		b = f.few
	}
	peer := wrongport.Recognize(wrongport.HTTP, b)
	if peer != nil || len(b) >= wrongport.Enough {
		f.known, f.few = true, nil
	}
	return peer
}

// turnAway responds to a peer that does not speak HTTP.
func (c *httpConn) turnAway(peer *wrongport.Peer, p []byte) {
	c.server.acceptor.Warn(peer.Message(), "listener", c.LocalAddr().String(), "peer", c.RemoteAddr().String(), "remedy", peer.Remedy())
	c.end(peer.Response(), p)
}
