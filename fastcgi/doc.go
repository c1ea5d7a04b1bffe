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
// A handler runs on the goroutine of its connection as long as its request is the only
// one there. Nobody reads the connection meanwhile, except Body.Read, which sorts the
// records that it meets. If that goes on for a tick, the connection gets another reader
// and keeps it: from then on an abort, or a web server that has left, is noticed at once.
// So short requests pay nothing, and long ones learn of both within a tick. A tick is 25
// ms while anything is in flight, plus 5 µs for each connection, and up to 500 ms after a
// quiet time.
//
// While several requests share the connection, each has a goroutine, and their responses
// take turns: no write is longer than 512 KiB. A response that waits for the web server
// counts as one of the connection's Limits.Requests.
//
// # Roles
//
// Web servers ask for a Responder. lighttpd and Apache's mod_fcgid may also ask for an
// Authorizer (Server.Authorizer). A Filter (Server.Filter) is the third role of the
// specification. A role without an application is refused, so a server that only responds
// never lets anybody in by accident.
//
// # Bodies that nobody reads
//
// At most 64 KiB of an unread body are kept in memory. What happens then depends on the
// connection. If it carries several requests (the web server asked with GET_VALUES, or
// used an id other than 1), or if the web server does not take the response meanwhile, the
// rest goes to a spool, so that no request stops another. Any other connection is not read
// any further; it is only watched for a hang-up and for an ABORT_REQUEST in the socket.
// Before the head of a response is sent, the whole body of its request is read, see
// package cgi on framing.
//
// # Memory
//
// A connection that waits for a request costs a few kB and no buffer. A request costs
// its variables (Limits.ParamsBytes, 1 MiB), up to 80 KiB of an unread body, up to 40 KiB
// of a response that is held back, and what it puts in the spool (Limits.Spool). A
// connection has at most Limits.Requests of them (100), including those whose application
// is over a time limit.
//
// # Truncation
//
// Web servers ignore END_REQUEST's appStatus and take a closed connection for the
// end of a response. A truncated response therefore ends with a record of version 0 and a
// close, which nginx and Apache both report as an error. While other requests share the
// connection, it ends with END_REQUEST, an appStatus of 1, and a log line.
//
// # Time limits
//
// cgi.Limits bound the web server, cgi.Handler.RunTime and FirstByte the application.
// When one of the latter passes, the web server gets a response while the application
// still runs. That application counts as one of the connection's Limits.Requests until it
// returns. A connection that carries no other request, or has no room for another, is
// closed soon, even if it was to be kept; its slot (Limits.Connections) is free once the
// last application has returned.
//
// # Trust
//
// FastCGI has no authentication: whoever can connect can set every variable.
// Listen on a unix socket, or on loopback, or set Server.Allow; Server.AllowUsers names
// the users whose processes may connect to a unix socket. A process that a web server
// started with a listening socket on descriptor 0 obeys FCGI_WEB_SERVER_ADDRS, see
// WebServerAddrs.
package fastcgi
