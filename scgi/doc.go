// Package scgi speaks SCGI (the protocol text of 2008-06-23): the netstring
// codec, and the server side of a connection.
//
// Serving a net/http handler is one call; for a [cgi.App] there is a [Server]:
//
//	err := scgi.Serve(l, handler)
//	err := (&scgi.Server{App: app}).Serve(l)
//
// # What a request is
//
// A netstring that holds the CGI variables as name NUL value NUL, then the body,
// as many bytes as CONTENT_LENGTH says. The response is a CGI response (RFC 3875 §
// 6) that always begins with a Status field, and the end of the connection is its
// end: there is one request on a connection.
//
// The server is strict where a lie could hide: the digits of the netstring, its comma, the
// NUL at the end, an even count of strings, names that are not empty, the variable SCGI with
// the value 1. A violation gets a 400. A peer that speaks another protocol gets an error page in
// that, and the log says what to change. The order of the variables is not checked, and
// repeated names, which nginx is known to send, are joined as by [cgi.Environ.Add]. nginx is
// also known to send a CONTENT_LENGTH below the true one; see [cgi.Environ.BodyLength].
// Without a usable length the response is 411, since nothing else marks the end of a body.
//
// # Truncation
//
// The protocol has no mark for a response that broke off: a connection that is
// closed looks like the end. On TCP the server sends a reset instead. On a unix
// socket that does not exist, but a socket that is closed while bytes of the
// request are still unread gives its peer ECONNRESET. So there the last byte of
// every request stays in the socket (read with MSG_PEEK) until the response is
// complete. This works on Linux; on other systems a response that breaks off on a
// unix socket looks complete, unless it has a Content-Length. It cannot be shown
// to a peer that shut down its writing side before its request was complete.
//
// # Limits
//
// [cgi.Limits] lists them with their defaults: ParamsBytes and ParamsCount (431
// beyond them), BodyBytes (413), BodyRead and BodyRate (408), Idle (how long
// a head may take), Write, Linger and Connections. A tick checks the times, so they are exact
// to half a second. Memory for a head grows with the bytes that have come, never with the
// length that was announced.
//
// # Early responses
//
// A response may be complete before the body has come. Then the server shuts down
// its writing side and reads what the peer still sends, for at most Limits.Linger,
// so that no reset overtakes the response.
package scgi
