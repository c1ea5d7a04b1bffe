// Package simpleserver is the Go form of Python's wsgiref.simple_server: a small
// HTTP/1.0 server for one application, with a parser and a writer of its own, and
// [DemoApp], the page that shows what a web server passes on.
//
//	s := &simpleserver.Server{Addr: "127.0.0.1:8000", App: cgi.AppFunc(simpleserver.DemoApp)}
//	err := s.ListenAndServe(ctx)
//
// It is for trying things out, and for tests that look at bytes. Each connection
// carries one request; the response is a status line of HTTP/1.0, Date and Server
// (unless the application gave its own), and the application's fields in their
// order. A client of HTTP/0.9 gets the body alone.
//
// # What it mends
//
// The variables are those of WSGIRequestHandler.get_environ. Where wsgiref lets
// through what RFC 9112 and RFC 3875 forbid, the server does as they say:
//
//   - CONTENT_TYPE is not set unless the client sent one ("text/plain" in wsgiref);
//   - a NUL byte, and any other control character, gets a 400; so do a field without a
//     colon, a name that is not a token, and a head that breaks off;
//   - a folded field is unfolded; a field with "_" in its name, and Proxy, are
//     dropped;
//   - repeated fields are joined with ", ", Cookie with "; " ("," in wsgiref);
//   - Host may come once;
//   - a chunked body is decoded first, within Limits.Spool, so that CONTENT_LENGTH
//     is its true length; HTTP/1.0 has no chunks, and gets 411; a line of it that ends
//     in LF without CR gets a 400 (RFC 9112 § 7.1);
//   - a Content-Length that is not a number, that contradicts another, or that comes
//     with Transfer-Encoding gets a 400;
//   - a target in absolute form loses its scheme and authority, which becomes
//     HTTP_HOST (RFC 9112 § 3.2.2); one of no known form gets a 400;
//   - the body ends at its length, and a response to HEAD has none;
//   - "Expect: 100-continue" of a client of HTTP/1.1 gets its 100 when the application
//     reads the body;
//   - requests run at the same time;
//   - errors have a head even if the version of the client is not known, and a
//     request of HTTP/0.9 is not searched for fields.
//
// Server.Compat brings wsgiref's ways back. Some do not come back: HTTP_PROXY never
// reaches an application (CVE-2016-5385), and the framing of the response is that of
// [cgi.Handler], so 204 and 304 have no body, and a body that does not have its
// Content-Length is cut or breaks off visibly.
//
// # Truncated responses
//
// HTTP/1.0 has no way to say that a response without a Content-Length broke off: its
// end is the end of the connection. Over TCP the server resets the connection then
// (SO_LINGER 0), which a client cannot take for the end; over other sockets it can.
// What the client has not read yet is lost with a reset.
//
// # Limits
//
// The fields RequestLine, HeaderLine and HeaderCount of a Server bound its head as
// http.server does. Of Server.Limits, Connections, ParamsBytes (the head as a
// whole), BodyBytes, BodyRead, Write, Idle (the whole head has to arrive within it),
// Linger and Spool apply. Write holds for each 16 KiB of a response.
package simpleserver
