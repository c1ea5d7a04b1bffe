package fastcgi_test

import (
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"time"

	fcgi "gatehouse/fastcgi" // was "net/http/fcgi"
)

// A program that was written for net/http/fcgi.
func ExampleServe() {
	l, err := net.Listen("unix", "/run/app.sock")
	if err != nil {
		log.Fatal(err)
	}
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "Hello %s from %s\n", fcgi.ProcessEnv(r)["REMOTE_USER"], r.RemoteAddr)
	})
	log.Fatal(fcgi.Serve(l, nil))
}

// An upload has ten seconds in all, whatever else goes over its connection.
func ExampleServe_deadline() {
	upload := func(w http.ResponseWriter, r *http.Request) {
		if err := http.NewResponseController(w).SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
			log.Print(err)
		}
		n, err := io.Copy(io.Discard, r.Body)
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			http.Error(w, "too slow", http.StatusRequestTimeout)
		case errors.Is(err, fcgi.ErrRequestAborted) || errors.Is(err, fcgi.ErrConnClosed):
			log.Printf("the client left after %d bytes", n)
		default:
			fmt.Fprintf(w, "%d bytes\n", n)
		}
	}
	// Without a listener it is standard input, where mod_fcgid puts a socket.
	log.Fatal(fcgi.Serve(nil, http.HandlerFunc(upload)))
}
