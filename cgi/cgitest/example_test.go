package cgitest_test

import (
	"bytes"
	"fmt"
	"io"
	"strings"

	"gatehouse/cgi"
	"gatehouse/cgi/cgitest"
)

// The environ printer of wsgiref's documentation: what is missing of a request is made
// up, so that the application runs in a test.
func ExampleDefaults() {
	printer := cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
		cgitest.Defaults(r.Env)
		if err := w.StartResponse("200 OK", []cgi.Field{{Name: "Content-Type", Value: "text/plain; charset=utf-8"}}); err != nil {
			return err
		}
		for name, value := range r.Env.All() {
			if _, err := fmt.Fprintf(w, "%s=%s\n", name, value); err != nil {
				return err
			}
		}
		return nil
	})
	var out strings.Builder
	program := cgi.Program{Env: cgi.NewEnviron("REQUEST_METHOD=GET", "HTTPS=on"), Stdin: strings.NewReader(""), Stdout: &out}
	if err := program.Serve(printer); err != nil {
		fmt.Println(err)
	}
	_, page, _ := strings.Cut(out.String(), "\r\n\r\n")
	fmt.Print(page)
	// Output:
	// REQUEST_METHOD=GET
	// HTTPS=on
	// SERVER_NAME=127.0.0.1
	// SERVER_PROTOCOL=HTTP/1.0
	// HTTP_HOST=127.0.0.1
	// SCRIPT_NAME=
	// PATH_INFO=/
	// SERVER_PORT=443
}

// A test of an application without a server: a request, and a recorder of the answer.
func ExampleNewRequest() {
	greet := cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
		name, err := io.ReadAll(r.Body)
		if err != nil {
			return err
		}
		fmt.Fprintf(r.Stderr, "%s was here\n", name)
		if err := w.StartResponse("200 OK", nil); err != nil {
			return err
		}
		_, err = fmt.Fprintf(w, "Hello, %s!\n", name)
		return err
	})
	r := cgitest.NewRequest(cgi.NewEnviron("REQUEST_METHOD=POST", "CONTENT_LENGTH=3"))
	r.Body, r.ContentLength = strings.NewReader("Joe"), 3
	stderr := r.Stderr.(*bytes.Buffer)

	var answer cgitest.Recorder
	res := new(cgi.Handler).Run(r, &answer, greet)
	fmt.Println(res.Code, res.Err)
	fmt.Print(answer.Body.String())
	fmt.Print(stderr)
	// Output:
	// 200 <nil>
	// Hello, Joe!
	// Joe was here
}
