package iis_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"gatehouse"
	"gatehouse/cgi"
	"gatehouse/iis"
)

// childVariable makes the test binary a program that IIS starts. Its value says by which
// call it serves.
const childVariable = "GATEHOUSE_TEST_CHILD"

// beChild serves and exits, in a process that is to be such a program.
func beChild() {
	var err error
	switch os.Getenv(childVariable) {
	case "":
		return
	case "iis":
		err = (&iis.Server{App: cgi.AppFunc(childApp)}).Serve(context.Background())
	case "stderr":
		err = (&iis.Server{App: cgi.AppFunc(childApp), Stderr: true}).Serve(context.Background())
	case "http":
		err = iis.Serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprintf(w, "asked for %s\n", r.URL.Path) }))
	case "idle":
		err = (&gatehouse.Server{App: cgi.AppFunc(childApp), Limits: cgi.Limits{Idle: time.Millisecond}}).Serve(context.Background())
	case "gatehouse":
		err = (&gatehouse.Server{App: cgi.AppFunc(childApp)}).Serve(context.Background())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "the child ends:", err)
		os.Exit(3)
	}
	os.Exit(0)
}

// childApp does what its path says.
func childApp(w cgi.ResponseWriter, r *cgi.Request) error {
	start := func() error {
		return w.StartResponse("200 OK", []cgi.Field{{Name: "Content-Type", Value: "text/plain"}})
	}
	begin := func() error {
		if err := start(); err != nil {
			return err
		}
		if _, err := io.WriteString(w, "begun\n"); err != nil {
			return err
		}
		return w.Flush()
	}
	path := r.FullPath()
	switch path[strings.LastIndexByte(path, '/')+1:] {
	case "panic":
		panic("a deliberate panic")
	case "crash":
		go func() { panic("a deliberate crash") }()
		select {}
	case "zeros":
		n, err := strconv.Atoi(r.RawQuery())
		if err != nil {
			return err
		}
		if err := start(); err != nil {
			return err
		}
		_, err = w.Write(make([]byte, n))
		return err
	case "echo":
		if err := start(); err != nil {
			return err
		}
		_, err := io.Copy(w, r.Body)
		return err
	case "stderr":
		fmt.Fprintln(r.Stderr, "said on Request.Stderr")
		fmt.Fprintln(os.Stderr, "said on os.Stderr")
		err := cgi.WriteStderr(w, []byte("said on STDERR"))
		if err := start(); err != nil {
			return err
		}
		fmt.Fprintf(w, "error: %v\n", err)
		return nil
	case "wait": // for the end of the body
		if err := cgi.EnableFullDuplex(w); err != nil {
			return err
		}
		if err := begin(); err != nil {
			return err
		}
		n, err := io.Copy(io.Discard, r.Body)
		fmt.Fprintf(w, "done after %d bytes: %v\n", n, err)
		return err
	case "gone": // for the end of the connection
		if err := begin(); err != nil {
			return err
		}
		<-r.Context().Done()
		fmt.Fprintln(os.Stderr, "cancelled:", context.Cause(r.Context()))
		return context.Cause(r.Context())
	case "env":
		if err := start(); err != nil {
			return err
		}
		for name, value := range r.Env.All() {
			fmt.Fprintf(w, "%s=%q\n", name, value)
		}
		return nil
	}
	if err := start(); err != nil {
		return err
	}
	_, err := io.WriteString(w, "hello\n")
	return err
}
