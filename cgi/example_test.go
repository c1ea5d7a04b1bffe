package cgi_test

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"

	"gatehouse/cgi"
)

// get shows what a handler answers to GET.
func get(h http.Handler, path string) {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
	fmt.Println(w.Code, strings.TrimSpace(w.Body.String()))
}

var hello = cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
	err := w.StartResponse("200 OK", []cgi.Field{{Name: "Content-Type", Value: "text/plain"}})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "Hello from %s to %s\n", r.Env.Get("SERVER_NAME"), r.Env.Get("REMOTE_ADDR"))
	return err
})

func ExampleApp() {
	get(cgi.ToHTTP(hello), "/")
	// Output: 200 Hello from example.com to 192.0.2.1
}

func ExampleMux() {
	where := cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
		if err := w.StartResponse("200 OK", nil); err != nil {
			return err
		}
		_, err := fmt.Fprintf(w, "mounted at %q, asked for %q", r.Env.Get("SCRIPT_NAME"), r.Env.Get("PATH_INFO"))
		return err
	})
	var mux cgi.Mux
	for _, prefix := range []string{"/", "/wiki"} {
		if err := mux.Mount(prefix, where); err != nil {
			log.Fatal(err)
		}
	}
	h := cgi.ToHTTP(&mux)
	get(h, "/wiki/Main_Page")
	get(h, "/wikipedia")
	// Output:
	// 200 mounted at "/wiki", asked for "/Main_Page"
	// 200 mounted at "", asked for "/wikipedia"
}

func ExampleFromHTTP() {
	app := cgi.FromHTTP(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s is at %s under %s", cgi.Env(r).Get("REMOTE_USER"), r.URL.Path, cgi.ScriptName(r))
	}))
	var out strings.Builder
	p := cgi.Program{
		Env:    cgi.NewEnviron("REQUEST_METHOD=GET", "SCRIPT_NAME=/cgi-bin/app", "PATH_INFO=/x", "REMOTE_USER=joe"),
		Stdout: &out,
	}
	if err := p.Serve(app); err != nil {
		log.Fatal(err)
	}
	fmt.Println(strings.ReplaceAll(out.String(), "\r\n", "\n"))
	// Output:
	// Status: 200 OK
	// Content-Type: text/plain; charset=utf-8
	// Content-Length: 43
	//
	// joe is at /cgi-bin/app/x under /cgi-bin/app
}

func ExampleToHTTP() {
	s := httptest.NewServer(cgi.ToHTTP(hello))
	defer s.Close()
	resp, err := http.Get(s.URL)
	if err != nil {
		log.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s %s", resp.Status, body)
	// Output: 200 OK Hello from 127.0.0.1 to 127.0.0.1
}

// A CGI program in Go.
func ExampleServe() {
	err := cgi.Serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(w, "Hello")
	}))
	if errors.Is(err, cgi.ErrNotCGI) {
		// An administrator has started it by hand.
		fmt.Println("this program is to be started by a web server")
	} else if err != nil {
		// The log has it already.
		os.Exit(1)
	}
	// Output: this program is to be started by a web server
}

func ExampleStatusError() {
	app := cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
		f, err := os.Open("/no/such/file")
		if errors.Is(err, fs.ErrNotExist) {
			return &cgi.StatusError{Code: http.StatusNotFound, Err: err}
		}
		if err != nil {
			return err // 500
		}
		defer f.Close()
		if err := w.StartResponse("200 OK", nil); err != nil {
			return err
		}
		_, err = io.Copy(w, f)
		return err
	})
	quiet := &cgi.Handler{Log: slog.New(slog.DiscardHandler)}
	get(quiet.HTTP(app, cgi.Limits{}), "/")
	// Output: 404 404 Not Found
}

func ExampleHeaders() {
	var h cgi.Headers
	for _, err := range []error{
		h.Set("Content-Type", "image/gif"),
		h.Add("Content-Disposition", "attachment", cgi.Param{Name: "filename", Value: "bud.gif"}),
	} {
		if err != nil {
			log.Fatal(err)
		}
	}
	fmt.Println(h.Get("content-disposition"))
	fmt.Println(h.Set("X", "one\r\nSet-Cookie: two"))
	// For StartResponse: h.Fields().
	fmt.Println(h.Len())
	// Output:
	// attachment; filename="bud.gif"
	// cgi: invalid header field "X": control character 0x0d at offset 3 of the value
	// 2
}
