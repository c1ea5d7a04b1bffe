package script

import "gatehouse/cgi"

// A Manner says how an App finds programs and makes their environment. The manners of
// other gateways are for web servers that were configured for them.
type Manner uint8

const (
	// Gatehouse is what ServeCGI documents.
	Gatehouse Manner = iota

	// Fcgiwrap does as fcgiwrap 1.1. The program is the file that SCRIPT_FILENAME
	// names, wherever it lies, or without that variable the first file on the way down
	// DOCUMENT_ROOT followed by SCRIPT_NAME, of which the rest becomes PATH_INFO. If
	// there are Roots, they are programs, and no other runs. Programs get the variables
	// as they were sent, and start in their own directory, or in that of FCGI_CHDIR;
	// with "-" there, in that of this process. If a variable was sent twice, the first
	// counts. A fault that is found before a program is started is 403, afterwards 502.
	// SCRIPT_NAME with a ".." segment is refused. The web server is told why a request fails
	// (FCGI_STDERR), whatever App.StderrToClient says.
	Fcgiwrap

	// Slowcgi does as OpenBSD's slowcgi. The program is what SCRIPT_FILENAME
	// names, or else SCRIPT_NAME, and gets the variables as they were sent.
	Slowcgi
)

// String returns the name of the program that has the manner.
func (m Manner) String() string {
	switch m {
	case Fcgiwrap:
		return "fcgiwrap"
	case Slowcgi:
		return "slowcgi"
	}
	return "gatehouse"
}

// A finder is what differs between the manners.
type finder interface {
	// find returns the program for r. The error is that of a [Finding].
	find(a *App, r *cgi.Request, tr *trace) (*target, error)

	// dir returns the directory that the program starts in, "" for that of this process,
	// and whether that was chosen for this request or process.
	dir(r *cgi.Request, t *target) (dir string, chosen bool)

	// sent returns the value of a variable that was sent, perhaps more than once.
	sent(env *cgi.Environ, name, last string) string

	// settings appends the variables that the web server does not decide alone.
	settings(s []setting, r *cgi.Request, t *target) []setting

	// lookupFailure and startFailure return f with the status that the manner has for a
	// program that was not found, or did not start.
	lookupFailure(f *Finding) *Finding
	startFailure(f *Finding) *Finding
}

// finder returns the implementation of m.
func (m Manner) finder() finder {
	switch m {
	case Fcgiwrap:
		return fcgiwrap{}
	case Slowcgi:
		return slowcgi{}
	}
	return gatehouse{}
}
