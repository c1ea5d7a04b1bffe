package iis_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"time"

	"gatehouse/cgi"
	"gatehouse/iis"
)

// A program that IIS's FastCGI module starts, and keeps, and its CGI module for each request.
func ExampleServe() {
	err := iis.Serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "asked for %s\n", r.URL.Path)
	}))
	if errors.Is(err, iis.ErrNotStarted) {
		fmt.Println("IIS has not started this process")
	}
	// Output: IIS has not started this process
}

// An application at a fixed path, with more time for the request in flight when IIS asks the
// process to end. signalBeforeTerminateSeconds must be longer.
func ExampleServer() {
	s := &iis.Server{
		App:   &iis.Handler{App: cgi.FromHTTP(http.NotFoundHandler()), ScriptName: "/shop"},
		Drain: time.Minute,
	}
	err := s.Serve(context.Background())
	fmt.Println(errors.Is(err, iis.ErrNotStarted))
	// Output: true
}

func ExampleDedupPathInfo() {
	env := cgi.NewEnviron("SCRIPT_NAME=/app", "PATH_INFO=/app/page")
	fmt.Println(iis.DedupPathInfo(env), env.Get("PATH_INFO"))
	env = cgi.NewEnviron("SCRIPT_NAME=/app", "PATH_INFO=/application")
	fmt.Println(iis.DedupPathInfo(env), env.Get("PATH_INFO"))
	// Output:
	// true /page
	// false /application
}

func ExampleCleanVariables() {
	env := cgi.NewEnviron("CONTENT_LENGTH=0", "CONTENT_TYPE=", "REMOTE_USER=", "QUERY_STRING=", "HTTPS=off")
	iis.CleanVariables(env)
	fmt.Println(strings.Join(env.Strings(), " "))
	// Output: CONTENT_LENGTH=0 QUERY_STRING=
}

// A CGI program for IIS. Here its environment is given; IIS gives it otherwise.
func ExampleHandler() {
	page := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "mounted at %s, asked for %s\n", cgi.ScriptName(r), r.URL.Path)
	})
	program := cgi.Program{
		Handler: &cgi.Handler{Log: slog.New(slog.DiscardHandler)},
		Env: cgi.NewEnviron("REQUEST_METHOD=GET", "SCRIPT_NAME=/app.exe", "PATH_INFO=/app.exe/page",
			"REQUEST_URI=/app.exe/page", "CONTENT_LENGTH=0", "CONTENT_TYPE=", "HTTPS=off"),
		Stdin: strings.NewReader(""),
	}
	var out strings.Builder
	program.Stdout = &out
	if err := program.Serve(&iis.Handler{App: cgi.FromHTTP(page)}); err != nil {
		log.Fatal(err)
	}
	_, body, _ := strings.Cut(out.String(), "\r\n\r\n")
	io.WriteString(os.Stdout, body)
	// Output: mounted at /app.exe, asked for /app.exe/page
}

// A handler mapping with path="*", where IIS takes the whole path for the name of the
// script.
func ExampleHandler_scriptName() {
	page := cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
		fmt.Printf("mounted at %s, asked for %s\n", r.Env.Get("SCRIPT_NAME"), r.Env.Get("PATH_INFO"))
		return w.StartResponse("204 No Content", nil)
	})
	h := &iis.Handler{App: page, ScriptName: "/shop"}
	for _, path := range []string{"/shop/cart", "/Shop/cart", "/blog"} {
		program := cgi.Program{
			Handler: &cgi.Handler{Log: slog.New(slog.DiscardHandler)},
			Env:     cgi.NewEnviron("REQUEST_METHOD=GET", "SCRIPT_NAME="+path, "PATH_INFO="+path, "REQUEST_URI="+path),
			Stdin:   strings.NewReader(""),
			Stdout:  io.Discard,
		}
		if err := program.Serve(h); err != nil {
			log.Fatal(err)
		}
	}
	// Output:
	// mounted at /shop, asked for /cart
	// mounted at /Shop, asked for /cart
}

// For a flag of a program.
func ExampleParseMode() {
	mode, ok := iis.ParseMode("keep")
	fmt.Println(mode, ok)
	_, ok = iis.ParseMode("perhaps")
	fmt.Println(ok)
	// Output:
	// keep true
	// false
}
