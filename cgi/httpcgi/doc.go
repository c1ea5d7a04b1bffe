// Package httpcgi takes the place of net/http/cgi, with its names: an http.Handler that runs
// a CGI program, and what such a program is written with in Go.
//
//	import cgi "gatehouse/cgi/httpcgi" // was "net/http/cgi"
//
// [Handler] runs its program by package script: with limits of time and of programs at once,
// in a process group that ends when the client leaves, and without the mistakes of
// net/http/cgi. docs/net-http-cgi.md, in the source of the module, lists what a program that
// changes its import may notice.
//
// [Handler] is for one program. For a directory of programs, or another user, a sandbox or a
// control group for them, use [script.App] with [cgi.Handler.HTTP].
package httpcgi
