package simpleserver_test

import (
	"fmt"
	"io"
	"net"
	"os"
	"strings"

	"gatehouse/cgi"
	"gatehouse/cgi/simpleserver"
)

// get sends a request to a server and prints the body of the answer.
func get(addr net.Addr, path string) {
	c, err := net.Dial("tcp", addr.String())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()
	fmt.Fprintf(c, "GET %s HTTP/1.0\r\n\r\n", path)
	answer, _ := io.ReadAll(c)
	_, body, _ := strings.Cut(string(answer), "\r\n\r\n")
	fmt.Print(body)
}

// The hello world of wsgiref's documentation. A program that goes on calls
// ListenAndServe in the place of HandleOne.
func Example() {
	hello := func(w cgi.ResponseWriter, r *cgi.Request) error {
		err := w.StartResponse("200 OK", []cgi.Field{{Name: "Content-Type", Value: "text/plain; charset=utf-8"}})
		if err != nil {
			return err
		}
		_, err = io.WriteString(w, "Hello World\n")
		return err
	}
	s, err := simpleserver.MakeServer("127.0.0.1", 0, cgi.AppFunc(hello))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer s.Close()
	s.AccessLog = io.Discard
	done := make(chan error)
	go func() { done <- s.HandleOne(nil) }()
	get(s.ServerAddr(), "/")
	<-done
	// Output: Hello World
}

// The other one: it prints the variables of the request, here those of its address.
func ExampleMakeServer() {
	printer := func(w cgi.ResponseWriter, r *cgi.Request) error {
		err := w.StartResponse("200 OK", []cgi.Field{{Name: "Content-Type", Value: "text/plain"}})
		if err != nil {
			return err
		}
		for name, value := range r.Env.All() {
			if name == "REQUEST_METHOD" || name == "PATH_INFO" || name == "QUERY_STRING" {
				fmt.Fprintf(w, "%s: %s\n", name, value)
			}
		}
		return nil
	}
	s, err := simpleserver.MakeServer("127.0.0.1", 0, cgi.AppFunc(printer))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer s.Close()
	s.AccessLog, s.ErrorLog = io.Discard, os.Stderr
	done := make(chan error)
	go func() { done <- s.HandleOne(nil) }()
	get(s.ServerAddr(), "/xyz?abc")
	<-done
	// Output:
	// REQUEST_METHOD: GET
	// PATH_INFO: /xyz
	// QUERY_STRING: abc
}
