// Package iis serves Go programs that Microsoft's IIS starts, and adapts applications to it.
//
//	func main() {
//		if err := iis.Serve(handler); err != nil {
//			log.Fatal(err)
//		}
//	}
//
// The same binary is a FastCGI application under the FastCGI module of IIS, and a CGI program
// under its CGI module. gatehouse.Serve does the same, and serves HTTP when the program is
// started by hand.
//
// # The FastCGI module
//
// IIS starts each process itself, with a named pipe as standard input to which it is connected
// already, and without standard output and error. A [Server] serves one request after the other
// from the pipe, until IIS closes it or sets the event that asks the process to end; see
// [Listen]. What is logged, and with what the program crashes, goes to a file: see
// [EnsureStderr]. Nothing is sent on FastCGI's STDERR, for which IIS would answer with an
// error. A socket in place of the pipe (protocol="Tcp") is refused.
//
// This has been tried under wine, by a program that does as IIS is documented to do, and not
// with IIS itself.
//
// # Variables
//
// IIS reports the path of a request in a way of its own, and sends every variable even if it
// is empty. A [Handler] in front of an application mends both, so that the application gets
// what RFC 3875 promises. [Serve] and gatehouse.Serve put one there; elsewhere:
//
//	h := &iis.Handler{App: cgi.FromHTTP(mux)}
//	if err := cgi.ServeApp(h); err != nil {
//		os.Exit(1)
//	}
//
// It is the Go form of wsgiref's IISCGIHandler, which is [DedupPathInfo] alone.
//
// # The path
//
// IIS repeats SCRIPT_NAME at the beginning of PATH_INFO, unless its setting
// allowPathInfo is true. No variable tells which holds, but REQUEST_URI, which is as
// the client sent it, mostly does: see [Mode]. For a handler mapping with path="*"
// SCRIPT_NAME and PATH_INFO are both the whole path; Handler.ScriptName says what is
// the application's own part of it.
//
// The rule that removes the repetition is [cgi.Environ.TrimPathInfo]. It lives in package
// cgi, because [cgi.PathIIS], the policy of a whole front-end, applies it too: that is
// the one for a gateway, whose administrator knows the settings of IIS. The Handler
// is for a program that is to work under both.
//
// Behind a Handler the path is right. It sets Request.Paths to [cgi.PathKeep], so that
// nothing behind it takes part of the path for a repetition once more.
//
// # Characters
//
// The environment of a CGI program is text on Windows, and IIS stores there what it
// decoded from UTF-8. [cgi.ReadEnviron] gives the bytes back. The variables of FastCGI
// are in the code page of the machine, with "?" or a similar letter for what it lacks. The
// Handler takes SCRIPT_NAME and PATH_INFO from REQUEST_URI, which is percent-encoded, if its
// path is the same but for such characters. For other variables, such as REMOTE_USER, name
// them in the registry value FastCGIUtf8ServerVariables.
package iis
