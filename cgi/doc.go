// Package cgi is the contract between a gateway and its applications, and the one
// handler that runs them: the Go form of Python's wsgiref.
//
// An application is an [App], or an [http.Handler] made into one by [FromHTTP]. A
// front-end decodes a wire format to a [Request] and encodes the answer: packages
// fastcgi and scgi do so for web servers that speak those protocols,
// [Handler.HTTP] for HTTP, and [Serve] for the process that is itself a CGI
// program. So a program that a web server starts for each request is
//
//	func main() {
//		if err := cgi.Serve(handler); err != nil {
//			os.Exit(1)
//		}
//	}
//
// and one that stays calls fastcgi.Serve or scgi.Serve in its place. To serve
// several applications, mount them on a [Mux].
//
// # The contract
//
// ServeCGI gets the variables exactly as the web server sent them, in an [Environ],
// and the body as a reader that ends where the body does. It calls StartResponse
// once, with a status such as "200 OK" and the header fields, then Write as often
// as it likes, and returns. The status and the fields are checked and copied at
// once; nothing is sent until more than 16 KiB have been written, Flush is called
// or ServeCGI returns, so a small answer is one write and gets a Content-Length.
// [ReplaceResponse] throws away what was not sent.
//
// Request and ResponseWriter are reused after ServeCGI has returned. Strings stay
// valid.
//
// # Framing
//
// Web servers relay wrong framing as it comes, so the [Handler] lets none out. The
// status is always sent, and is never 1xx. 204 and 304 have no body and no
// Content-Length, an answer to HEAD has no body, though it may declare the length of
// what GET would get. Fields that concern the connection are removed. A body that
// is longer than its Content-Length is cut; one that is shorter is a truncation.
// Control characters in a status or a field, a name that is no token, and a field
// called Status are errors of StartResponse, so that nothing that a client sent can
// start a header field or a response of its own.
//
// The head is not sent before the body of the request has arrived: nginx stops
// sending a body when it sees the head of the answer, and an application that
// flushes before it reads would wait for ever. So Flush, and a Write that goes beyond
// what is held, first take the rest of the body and keep it for the application,
// within Handler.Spool. That ends with the body, when it is closed (a program that ends,
// or closes its stdin, does so), when reading it fails, or when no more can be kept; the
// limit on the time between two of its bytes holds meanwhile, and a body that is refused
// for that or for its length makes them fail. An answer that is complete by then waits
// for nothing, and [EnableFullDuplex] turns the rule off.
//
// What a program writes in answer is read by [ReadHead], which is as lenient as RFC
// 3875 § 6 asks for.
//
// Whoever speaks to clients without a web server in between has the Handler write the
// heads of an origin server: Handler.OriginServer.
//
// # WSGI
//
// An application that would rather return its body than write it is a [WSGI], as PEP
// 3333 has it: a function of the variables and of [StartResponse] that returns a [Body],
// made by [Blocks] of a list, by [Seq] of a generator, or a [File]. Each block is sent
// as it comes, and a single one has its length. The rest of the request (wsgi.input,
// wsgi.errors, the run flags) is [Environ.Request].
//
// The attributes of wsgiref's handlers are fields of the [Handler]: its error page and
// what is logged, the scheme, RunFlags in the place of the front-end's own, hooks for
// header fields and files. BaseEnv adds variables to every request; it is empty unless
// set, for the environment of the process is not the application's to see.
//
// The file docs/wsgiref.md of the module's source says where each name of wsgiref is
// here, and what is different.
//
// # Errors
//
// An error that ServeCGI returns, or a panic, before the head was sent becomes an
// error page: 500, or the code of a [StatusError]. It tells nothing of the cause,
// which is in the log, a panic's with its stack. After the head the answer is
// broken off, and the front-end makes that visible as far as its protocol has a
// way, so that no client takes a part for the whole. [http.ErrAbortHandler] breaks
// it off in silence. Each request that failed has one line in the log, with its id.
//
// # Time limits
//
// Handler.RunTime bounds the whole time of an application, Handler.FirstByte the time to
// the head of its answer, over every protocol. When one passes the client has its answer
// at once, an error page of 504 or a truncation, and the application an error from all
// that it does with the request; Run returns when it comes back. Programs that package
// script runs have limits of their own beside these.
//
// # Paths
//
// Web servers report the path of a request in different ways, and some report it
// twice. [FullPath] settles it, once, before any application sees the request; a
// [Mux] splits it into SCRIPT_NAME, the mount point, and PATH_INFO, the rest. What
// the web server sent stays available through [Request.SentPath]. [PathPolicy] names
// the quirks, for the rare cases where the default is wrong.
//
// A [Redirector] above a Mux follows the local redirects of the programs that package
// script runs, where no web server stands in front: the answer is that of another path.
//
// # URIs
//
// [RequestURI] and [ApplicationURI] make the URI of the request and that of the mount
// point from the variables (PEP 3333, "URL Reconstruction"), with [Environ.Scheme] and
// the host that the client named, which is as trustworthy as the client unless the web
// server checks it. [ShiftPathInfo] takes a path apart segment by segment, for an
// application that is a tree of applications.
//
// # net/http
//
// [FromHTTP] and [ToHTTP] are each other's inverse. In a handler r.URL.Path is the
// whole path and [ScriptName] the mount point; [Env] has the variables that have no
// place in an http.Request, such as REMOTE_USER. Flushing and deadlines work as far
// as the front-end has them. There is no hijacking, there are no trailers, and
// informational responses pass over HTTP alone.
package cgi
