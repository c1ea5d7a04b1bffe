// Package iis adapts applications to Microsoft's IIS.
//
// IIS reports the path of a request in a way of its own, and sends every variable even if it
// is empty. A [Handler] in front of an application mends
// both, so that the application gets what RFC 3875 promises:
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
// are in the code page of the machine, with "?" for what it lacks, unless the registry
// value FastCGIUtf8ServerVariables names them; PATH_INFO, SCRIPT_NAME and the like
// should be there.
package iis
