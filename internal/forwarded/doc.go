// Package forwarded finds the client of an HTTP request that has come through reverse proxies:
// its address and its scheme, from the fields Forwarded (RFC 7239), X-Forwarded-For and
// X-Forwarded-Proto.
//
// Anybody can send these fields, so they count only as far as trusted proxies have written
// them. Each proxy adds the address of its own peer at the right. So the addresses are read
// from the right, and trusted ones skipped: the first that is not trusted is the client. What
// stands left of it may be the client's own, and is not looked at. Of the schemes only the
// rightmost counts, which is that of the connection to the proxy that is the peer.
//
// # Both kinds of fields
//
// A proxy that writes one kind passes on what the client has sent of the other, unless it is
// told to remove that, and nothing shows who has written which. So where both are there they
// must agree: about the client, and about the scheme, which both must give. A request in which
// they disagree is refused, because anything else would let a client choose who it is, or pass
// for the proxy. Where the addresses of one kind are all trusted, the other decides.
//
// # What does not count
//
// X-Forwarded-Host and X-Forwarded-Port do not count, nor do the parameters host and by of
// Forwarded: common proxies pass them on from the client, and can send the right Host itself.
package forwarded
