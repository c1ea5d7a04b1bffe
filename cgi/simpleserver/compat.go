package simpleserver

import "gatehouse/cgi"

// A compatApp gives an application what the Handler's rules would keep from one of
// wsgiref.
type compatApp struct {
	app    cgi.App
	method string
}

// compatMethod returns the method that the Handler is told, so that a response to
// HEAD has a body if the application writes one.
func compatMethod(method string) string {
	if method == "HEAD" {
		return "GET"
	}
	return method
}

// ServeCGI implements cgi.App. The head does not wait for the body, which in Compat
// has no end.
func (a compatApp) ServeCGI(w cgi.ResponseWriter, r *cgi.Request) error {
	r.Env.Set("REQUEST_METHOD", a.method)
	if err := cgi.EnableFullDuplex(w); err != nil {
		return err
	}
	return a.app.ServeCGI(w, r)
}
