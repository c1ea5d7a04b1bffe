// Package fastcgi serves FastCGI 1.0: it is the application's side of the
// protocol that nginx, Apache, lighttpd, HAProxy and Caddy speak.
//
//	l, err := net.Listen("unix", "/run/app.sock")
//	…
//	log.Fatal(fastcgi.Serve(l, http.DefaultServeMux))
//
// [Serve] takes an http.Handler, as net/http/fcgi does. The file
// docs/net-http-fcgi.md of the module's source says what a program notices that
// changes its import. A [Server] takes a [cgi.App] and has limits, a graceful
// Shutdown, and the rest that a daemon needs. The zero value of each of its options
// works.
//
// # A connection
//
// Every rule about a response lives in cgi.Handler; this package only decodes
// records to variables and a body, and encodes a response as records. A small
// request costs one read and one write.
//
// A handler runs on the goroutine of its connection as long as it is the only
// request there. Reading is a baton: Body.Read takes it and sorts the records that
// it meets. A request that has run for a tick (25 ms while anything is in flight, and 5 µs
// more for each connection,
// up to 500 ms after a quiet time) with nobody reading gets a reader of its own,
// which keeps the connection from then on; so abort, and a web server that left,
// are noticed within that time by requests that run long, at no cost to those that
// do not. While several requests share the connection, each has its goroutine, and
// their answers take turns: what is written at once goes out in parts of 512 KiB. One
// that waits for the web server to take it counts as one of the connection's
// Limits.Requests.
//
// # Roles
//
// Web servers ask for a Responder. lighttpd and Apache's mod_fcgid may ask for an
// Authorizer, too, which Server.Authorizer is; Server.Filter is the third role of the
// specification, for the few that ask for it. A server plays no role that it has no
// application for: one that only responds never lets anybody in by accident.
//
// # Bodies that nobody reads
//
// Of a body that nobody reads 64 KiB are kept. Then a connection that is known to
// carry several requests at once (it asked with GET_VALUES, used an id other than
// 1, or did so before) puts the rest in a spool, so that no request stops another, and
// so does one whose peer takes nothing of an answer meanwhile; any other connection is
// not read further, and only watched for a hang-up, and for an ABORT_REQUEST that
// stands in the socket. Before
// the head of an answer is sent, the body of its request is taken as a whole, see
// package cgi on framing.
//
// # Memory
//
// A connection that waits for a request costs a few kB and no buffer. A request costs
// its variables (Limits.ParamsBytes, 1 MiB), up to 80 KiB of a body that nobody has read,
// up to 40 KiB of an answer that is held back, and what it puts in the spool
// (Limits.Spool); a connection has at most Limits.Requests of them (100), those of
// applications that are over a time limit included.
//
// # Truncation
//
// Web servers ignore END_REQUEST's appStatus and take a closed connection for the
// end of a response. A response that breaks off is therefore ended by a record of
// version 0 and a close, which nginx and Apache both report as an error. While
// other requests share the connection it is ended by END_REQUEST with an appStatus
// of 1, and a log line.
//
// # Time limits
//
// cgi.Limits are those of peers, cgi.Handler.RunTime and FirstByte those of the
// application. After one of the latter the web server has its answer while the
// application still runs, and counts as one of its connection's Limits.Requests. A
// connection that carries no other is closed soon, and so is one with no room for more,
// even if it was to be kept; its slot (Limits.Connections) is free when the last
// application has come back.
//
// # Trust
//
// FastCGI has no authentication: whoever can connect can set every variable.
// Listen on a unix socket, or on loopback, or set Server.Allow; Server.AllowUsers names
// the users whose processes may connect to a unix socket. A process that a web server
// started with a listening socket on descriptor 0 obeys FCGI_WEB_SERVER_ADDRS, see
// WebServerAddrs.
package fastcgi
