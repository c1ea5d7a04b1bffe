package cgi_test

import (
	"errors"
	"fmt"
	"io"
	"log"
	"strings"

	"gatehouse/cgi"
)

// A CGI program in a test: all that it gets from a web server is given.
func ExampleProgram() {
	count := cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
		text, err := io.ReadAll(r.Body)
		if err != nil {
			return err
		}
		if err := w.StartResponse("200 OK", []cgi.Field{{Name: "Content-Type", Value: "text/plain"}}); err != nil {
			return err
		}
		_, err = fmt.Fprintln(w, len(strings.Fields(string(text))), "words")
		return err
	})
	var out strings.Builder
	program := cgi.Program{
		Env:    cgi.NewEnviron("REQUEST_METHOD=POST", "CONTENT_LENGTH=13"),
		Stdin:  strings.NewReader("spam and eggs and what does not belong to the request"),
		Stdout: &out,
		Stderr: io.Discard,
	}
	if err := program.Serve(count); err != nil {
		log.Fatal(err)
	}
	fmt.Println(strings.ReplaceAll(out.String(), "\r\n", "\n"))
	// Output:
	// Status: 200 OK
	// Content-Type: text/plain
	// Content-Length: 8
	//
	// 3 words
}

// A failure is the exit status of the program, for os.Exit. The log has the rest.
func ExampleExitError() {
	program := cgi.Program{
		Env:    cgi.NewEnviron("REQUEST_METHOD=GET"),
		Stdin:  strings.NewReader(""),
		Stdout: io.Discard,
		Stderr: io.Discard,
	}
	err := program.Serve(failing)
	var exit *cgi.ExitError
	fmt.Println(errors.As(err, &exit), exit.Status, exit.Err)
	// Output: true 1 the database is on fire
}

// An application at a mount point: r.Mounted tells where, r.SentPath what the web
// server made of it, and r.FullPath the whole.
func ExampleRequest_Mounted() {
	where := cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
		prefix, path, ok := r.Mounted()
		script, info, _ := r.SentPath()
		fmt.Printf("%q %q %v\n%q %q\n%q\n", prefix, path, ok, script, info, r.FullPath())
		return w.StartResponse("204 No Content", nil)
	})
	var mux cgi.Mux
	if err := mux.Mount("/wiki", where); err != nil {
		log.Fatal(err)
	}
	show(quiet(), &mux, "SCRIPT_NAME=", "PATH_INFO=/wiki/Main_Page")
	// Output:
	// "/wiki" "/Main_Page" true
	// "" "/wiki/Main_Page"
	// "/wiki/Main_Page"
	// Status: 204 No Content
}

// Header fields as a mapping. A change that breaks a rule is refused, and changes
// nothing.
func ExampleNewHeaders() {
	h, err := cgi.NewHeaders(cgi.Field{Name: "Set-Cookie", Value: "a=1"}, cgi.Field{Name: "Set-Cookie", Value: "b=2"})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(h.Len(), h.Get("set-cookie"), h.Values("SET-COOKIE"), h.Has("Date"))

	v, err := h.SetDefault("Vary", "Accept")
	fmt.Println(v, err)
	if err := h.AddParams("Cache-Control", cgi.Param{Name: "no_store"}, cgi.Param{Name: "private", Value: "Set-Cookie"}); err != nil {
		log.Fatal(err)
	}
	h.Del("Set-Cookie")
	var bad *cgi.FieldError
	if err := h.Set("X Y", "z"); errors.As(err, &bad) {
		fmt.Printf("%q: %s\n", bad.Name, bad.Reason)
	}
	fmt.Print(strings.ReplaceAll(h.String(), "\r\n", "\n"))
	// Output:
	// 2 a=1 [a=1 b=2] false
	// Accept <nil>
	// "X Y": byte 0x20 at offset 1 of the name is not allowed
	// Vary: Accept
	// Cache-Control: no-store; private="Set-Cookie"
}
