// Package validate finds out whether an application and the gateway in front of it
// keep to the contract of package cgi: it is the Go form of Python's
// wsgiref.validate.
//
// An [App] wraps an application and checks both sides. In development
//
//	fastcgi.Server{App: &validate.App{App: app}}
//
// or "gatehouse serve --validate" has every request checked, at a small cost. In a
// test the same App is driven by a cgi.Handler, or through cgi.ToHTTP by package
// httptest; an [http.Handler] is checked as validate.App{App: cgi.FromHTTP(h)}.
// Several applications on a cgi.Mux are wrapped one by one, behind the Mux, which
// mends what web servers are known to send as SCRIPT_NAME and PATH_INFO.
//
// A cgi.WSGI is an application like any other, and an App around it checks its body,
// too. [WSGI] makes a cgi.WSGI of a cgi.WSGI, as wsgiref's validator does, to put between a
// middleware and the application behind it: then the middleware is checked as a gateway.
//
// # Failures and warnings
//
// A rule that is broken is an [Error]. ServeCGI returns it: the client gets an error
// page or, if the head was sent already, a visibly truncated response, and the log has
// the line. The method of the ResponseWriter or of the Body in which the rule was
// broken returns it too, and so does every later StartResponse, Write and Flush; an
// application that continues regardless fails all the same. What is legal but seldom
// intended is a [Warning], which changes nothing.
//
// # The rules
//
// The numbers up to V43 are those of the checks of wsgiref.validate, in their order.
// Numbers that are left out are checks of Python's types, which the compiler makes.
// (w) is a warning.
//
// What the gateway passes:
//
//	V3   REQUEST_METHOD, SERVER_NAME and SERVER_PORT are set; Env, Body and Stderr are there
//	V4   HTTP_CONTENT_TYPE and HTTP_CONTENT_LENGTH are not set; (w) if CONTENT_TYPE or
//	     CONTENT_LENGTH says the same
//	V5   QUERY_STRING is set, if only to the empty string (w)
//	V6   no name and no value holds a NUL byte
//	V8   the scheme (cgi.Environ.Scheme and, where set, wsgi.url_scheme and REQUEST_SCHEME)
//	     is http or https
//	V11  REQUEST_METHOD is GET, HEAD, POST, OPTIONS, PATCH, PUT, DELETE or TRACE (w)
//	V12  SCRIPT_NAME is empty or begins with "/"
//	V13  PATH_INFO is empty or begins with "/"
//	V14  CONTENT_LENGTH is empty or a number in digits
//	V15  PATH_INFO is set where SCRIPT_NAME is empty
//	V16  SCRIPT_NAME is not "/": it is empty then, and PATH_INFO begins with "/"
//	V47  names are tokens (RFC 3875 § 4.1, RFC 9110 § 5.6.2), and no two differ in case
//	     alone; not checked in a CGI program (RunOnce), whose process has variables of
//	     its own
//
// What the application responds:
//
//	V18  the status begins with a number of three digits, 100 or more
//	V19  a space follows it (w); the gateway refuses the status otherwise
//	V23  no field is called Status
//	V24  no field's name holds a line feed or a colon
//	V25  it is a letter, then letters, digits, "-" and "_"
//	V26  it does not end in "-" or "_"
//	V27  no field's value holds a byte below 0x20, HTAB included
//	V28  there is a Content-Type, unless the status is 204 or 304
//	V29  there is none with 204 and 304
//	V31  ServeCGI does not return nil before StartResponse was called; a WSGI application
//	     returns a body or an error
//	V36  StartResponse comes before the first Write or Flush; start before the body
//	     delivers its first block, empty or not
//	V44  no field concerns the connection (RFC 9110 § 7.6.1)
//	V45  204 and 304 have no body; (w) for HEAD, whose body the gateway only counts
//	V46  the body has the length that Content-Length states
//	V48  w, Body, Data and Stderr are not used after ServeCGI has returned, nor is a call
//	     of theirs under way then. Late use panics with the Error. For an application in
//	     WSGI the closing of the body is the end
//	V49  the write callable that start returned is not used once the WSGI application has
//	     returned
//	V50  StartResponse, or start without a cause, is called once
//
// How the gateway, or a middleware, uses the body of a WSGI application:
//
//	V34  Next is not called after Close
//	V37  Close is called before the request has ended, and once. For an application in
//	     WSGI that it is called at all is found out by an App around it
//
// How it uses its streams:
//
//	V38  Read gets a buffer that is not empty
//	V40  Body is not closed: it is no io.Closer. cgi.Request.CloseBody works
//	V41  Stderr is written to by Write alone
//	V42  Stderr is not closed: it is no io.Closer
//	V43  w has the methods of a cgi.ResponseWriter, and the optional abilities that
//	     package cgi knows, which are checked where something passes through them. The
//	     body of a WSGI application tells no length (its Len is -1) and is no cgi.File,
//	     so that it gets no Content-Length of the gateway's and is not sent by
//	     Handler.SendFile
//
// In a CGI program nothing can interrupt a Read of standard input, so there one that
// is under way at the end breaks no rule.
//
// # Intended differences
//
// wsgiref's validator hides the length of a response, so that none gets a
// Content-Length. So does this one for a cgi.WSGI. To what another App has written before
// anything was sent, a cgi.Handler adds one, also behind a validator. V37 is a failure of
// the request here; wsgiref finds it when the body is collected as garbage. V4 spares the
// variables that nginx, lighttpd and Caddy send beside the right ones, since every POST
// behind them would fail; where the two differ, as when nginx passes on a body over SCGI
// without buffering it, it fails. So does V14 where Caddy states the length of a chunked
// body as -1. V45 does not fail a response to HEAD: the gateway states the length that GET
// would get by what the application writes.
package validate
