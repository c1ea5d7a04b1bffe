package scgi_test

import (
	"fmt"
	"log"
	"net"
	"net/http"

	"gatehouse/scgi"
)

// An http.Handler behind "scgi_pass 127.0.0.1:4000;" of nginx, or "ProxyPass /
// scgi://127.0.0.1:4000/" of Apache.
func ExampleServe() {
	l, err := net.Listen("tcp", "127.0.0.1:4000")
	if err != nil {
		log.Fatal(err)
	}
	log.Fatal(scgi.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "hello from %s\n", r.URL.Path)
	})))
}
