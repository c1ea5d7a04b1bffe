// Package cgi is the contract between a gateway and its applications, and the one
// handler that runs them: the Go form of Python's wsgiref.
//
// # What to call
//
// An application is an [http.Handler], or an [App], which gets the CGI variables as the
// web server sent them. [FromHTTP] makes an App of a handler.
//
// A program that a web server starts for each request calls [Serve], or [ServeApp] for an
// App:
//
//	func main() {
//		if err := cgi.Serve(handler); err != nil {
//			os.Exit(1)
//		}
//	}
//
// A program that keeps running calls fastcgi.Serve or scgi.Serve instead. [ToHTTP] makes an
// http.Handler of an App, for a [http.Server]. [ReadEnviron] and [NewEnviron] make variables
// for tests and tools.
//
// To serve several applications, mount them on a [Mux]. To configure how applications are
// run (error pages, logs, time limits), set the fields of a [Handler], and hand it to a
// [Program], a fastcgi.Server or a scgi.Server, or call [Handler.HTTP].
//
// # The contract
//
// ServeCGI gets the variables in an [Environ], and the body of the request as a reader that
// ends where the body does. It calls StartResponse once, with a status such as "200 OK" and
// the header fields, then Write as often as it likes, and returns. The status and the fields
// are checked and copied at once. Nothing is sent until more than 16 KiB have been written,
// Flush is called, or ServeCGI returns, so that a small response is one write and gets a
// Content-Length. [ReplaceResponse] discards what has not been sent.
//
// Request and ResponseWriter are reused after ServeCGI has returned. Strings stay valid.
//
// # Framing
//
// Web servers pass wrong framing on as it comes, so the [Handler] lets none out. The status
// is always sent, and is never 1xx. A response with 204 or 304 has no body and no
// Content-Length; one to HEAD has no body, though it may declare the length that GET would
// get. Fields that concern the connection are removed. A body that is longer than its
// Content-Length is cut; one that is shorter is a truncation. Control characters in a status
// or a field, a name that is not a token, and a field named Status are errors of
// StartResponse, so that nothing a client sent can start a header field or a response of
// its own.
//
// The head is not sent before the body of the request has arrived: nginx stops sending the
// body when it sees the head of the response, and an application that flushes before it
// reads would wait forever. So Flush, and a Write beyond what is held back, first read the
// rest of the body and buffer it for the application, within Handler.Spool. Buffering ends
// with the body, when the body is closed (as by a program that exits or closes its stdin),
// when reading it fails, or when no more fits. The limit on the time between two bytes of
// the body holds meanwhile, and a body that is refused for that or for its length makes
// Flush and Write fail. A response that is complete by then waits for nothing, and
// [EnableFullDuplex] turns the rule off.
//
// # Errors
//
// An error that ServeCGI returns, or a panic, before the head was sent becomes an error
// page: 500, the code of a [StatusError], or 503 for what [Exhausted] knows. The page says
// nothing about the cause; the log does, with the stack of a panic. After the head the response is broken off, and the
// front-end makes the truncation visible where the protocol allows it, so that no client
// mistakes a partial response for a complete one. [http.ErrAbortHandler] breaks it off
// silently. Each failed request has one line in the log, with its id.
//
// # Time limits
//
// Handler.RunTime bounds the whole time of an application, Handler.FirstByte the time to the
// head of its response, over every protocol. When one has passed, the client gets its
// response at once, an error page with 504 or a truncation, and the application gets an
// error from everything that it does with the request. Run returns when the application
// does. Programs that package script runs have limits of their own besides these.
//
// # Figures
//
// A [Handler] counts each request once, when its response has ended, for the application that a
// [Mux] gave it to: [Handler.Stats] has the requests by protocol and status, the times, the bytes,
// and what refused or ended those that failed. A client that left before the end is in a class of
// its own. [Handler.InFlight] lists the requests in flight, with what each of them is doing,
// and [Handler.Abort] ends one. [Result] has the same figures of a single request, for
// Handler.AccessLog; Handler.Observe is a hook for tracers.
//
// Counters go on when a Handler takes the place of another: [Handler.ContinueFrom]. An App that
// starts programs or passes requests on tells how it is by [Measure]. gatehouse.Server.Stats puts
// all of this together with listeners, limits and the process.
//
// # Paths
//
// REQUEST_URI is what the client asked for. SCRIPT_NAME, PATH_INFO and DOCUMENT_URI are what
// the web server made of it, and each server, and each administrator who sets them by hand,
// divides the path among them in another way. So REQUEST_URI is the witness for the others,
// which can be read in four ways:
//
//  1. SCRIPT_NAME is the whole path; PATH_INFO, if it was sent, is a part of it (nginx; its
//     recipe for git).
//  2. SCRIPT_NAME and PATH_INFO, one after the other, are the path (RFC 3875; Apache,
//     lighttpd, Caddy). There is one slash between them, whichever of the two has it: with a
//     SCRIPT_NAME of "/" the path is "/x", not "//x".
//  3. DOCUMENT_URI is the path, and SCRIPT_NAME, without a PATH_INFO, is where it begins
//     (nginx, if SCRIPT_NAME is set by hand; for SCGI it is not sent).
//  4. PATH_INFO is the path, and SCRIPT_NAME, which may be empty, is where it begins (nginx with
//     "PATH_INFO $uri").
//
// The first reading that equals the path of REQUEST_URI is [Request.FullPath]. In the second
// to fourth SCRIPT_NAME is the mount point, which is [ScriptName]; in the first nothing tells
// one, unless PATH_INFO was sent and is empty. What is compared has repeated slashes merged
// and dot segments removed, as most servers do, and REQUEST_URI is taken decoded; decoded
// except "%2F" (Apache with "AllowEncodedSlashes NoDecode"); and as it is. A reading that
// equals it only as it is has not been decoded by the server, and is decoded then. Otherwise
// the path is in the server's words, which its access rules are about, and never in those
// of REQUEST_URI.
//
// If no reading equals REQUEST_URI, the server has rewritten the path, or lacks the variable.
// Then DOCUMENT_URI, to which nginx rewrites, is the witness in its place. Caddy's is no more
// than SCRIPT_NAME, and so the first reading counts only if SCRIPT_NAME ends in PATH_INFO. If
// that leads to nothing, the path is SCRIPT_NAME and PATH_INFO, whichever was sent; without
// both DOCUMENT_URI; without that REQUEST_URI.
//
// [PathPolicy] restricts this to one server's ways, for the rare cases where the default is
// wrong. With [PathRequest] the path is REQUEST_URI itself, as with net/http/fcgi and
// net/http/cgi; [Serve], fastcgi.Serve and scgi.Serve, which are called in their place, use
// it.
//
// A path with a ".." segment that shows only once "%2F" is decoded gets a response of 400. A
// PATH_INFO without its slash is read with it, and logged: see [Request.InspectPath].
//
// A [Mux] splits the path into SCRIPT_NAME, the prefix at which the application is mounted,
// and PATH_INFO, the rest. What the web server sent stays available as [Request.SentPath].
//
// A [Redirector] above a Mux follows the local redirects of the programs that package script
// runs, where there is no web server in front: the client gets the response of the other
// path.
//
// # URIs
//
// [RequestURI] and [ApplicationURI] make the URI of the request and of the mount point from
// the variables (PEP 3333, "URL Reconstruction"), with [Environ.Scheme] and the host that
// the client named, which can be trusted no more than the client, unless the web server
// checks it. [ShiftPathInfo] takes a path apart segment by segment, for an application that
// is a tree of applications.
//
// # net/http
//
// [FromHTTP] and [ToHTTP] are inverses of each other. In a handler r.URL.Path is the whole
// path, and [ScriptName] the mount point; [Env] has the variables that have no place in an
// http.Request, such as REMOTE_USER. Flushing and deadlines work as far as the front-end
// has them. There is no hijacking, there are no trailers, and informational responses are
// sent over HTTP alone.
//
// Package cgi/httpcgi has the names of net/http/cgi, for a program that used that so far.
//
// # WSGI
//
// An application that would rather return its body than write it is a [WSGI], as in PEP
// 3333: a function of the variables and of [StartResponse] that returns a [Body], made by
// [Blocks] of a list, by [Seq] of a generator, or a [File]. Each block is sent as it comes;
// a single one gets a Content-Length. The rest of the request (wsgi.input, wsgi.errors, the
// run flags) is [Environ.Request].
//
// These names are here for wsgiref's sake: WSGI, StartResponse, [WriteFunc], Body, Blocks,
// Seq, File, [Headers], [NewHeaders], [Param], [RunFlags], [MissingVarError], [GuessScheme]
// and [IsHopByHop]. The attributes of wsgiref's handlers are fields of the [Handler].
// Handler.BaseEnv adds variables to every request; it is empty unless set, since the
// environment of the process is none of the application's business.
//
// docs/wsgiref.md, in the source of the module, says where each name of wsgiref is here,
// and what differs.
//
// # For front-ends
//
// A front-end decodes a wire format to a [Request], with [Environ.AddPairs], calls
// [Handler.Run] or [Handler.Refuse], and implements a [Sink], which encodes a [Head], the
// body and an [Outcome]. Packages fastcgi, scgi and cgi/simpleserver are front-ends.
//
// Only they, and packages that run programs, need [Sink], [Head], [End], [Outcome], [Pair],
// [ContextSource], [SendPipe], [SpoolError], [Remedy], [Descriptors] and [LocalRedirect]; [Limits.WithDefaults],
// [Tally], [ProgramEnd], [Measured], [Environ.BodyLength], [Request.UpdateUsage],
// [Request.BeginWaiting], [Request.EndWaiting], [Request.SetContextSource], [Request.HasContext],
// [Request.CloseBody] and [Request.FollowsRedirects]. Package cgi/cgihead parses the head
// of a CGI response.
//
// A front-end for clients that have no web server in between has the Handler write the heads
// of an origin server: Handler.OriginServer.
package cgi
