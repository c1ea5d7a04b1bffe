package fastcgi_test

import (
	"bytes"
	"io"
	"log"
	"net"

	"gatehouse/cgi"
	"gatehouse/fastcgi"
)

// An Authorizer lets a request in, and sets a variable for it, or keeps it out.
func ExampleServer_authorizer() {
	guard := cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
		if r.Env.Get("HTTP_X_TOKEN") != "open sesame" {
			return &cgi.StatusError{Code: 403}
		}
		return w.StartResponse("200 OK", []cgi.Field{cgi.Variable("REMOTE_USER", "ali")})
	})
	l, err := net.Listen("unix", "/run/guard.sock")
	if err != nil {
		log.Fatal(err)
	}
	s := &fastcgi.Server{Authorizer: guard}
	log.Fatal(s.Serve(l))
}

// A Filter gets a file that the web server would have sent, and sends what it makes of
// it.
func ExampleServer_filter() {
	capitals := cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
		file, err := io.ReadAll(r.Data)
		if err != nil {
			return err
		}
		if err := w.StartResponse("200 OK", []cgi.Field{{Name: "Content-Type", Value: "text/plain"}}); err != nil {
			return err
		}
		_, err = w.Write(bytes.ToUpper(file))
		return err
	})
	l, err := net.Listen("unix", "/run/filter.sock")
	if err != nil {
		log.Fatal(err)
	}
	s := &fastcgi.Server{Filter: capitals}
	log.Fatal(s.Serve(l))
}
