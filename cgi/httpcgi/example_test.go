//go:build unix

package httpcgi_test

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"time"

	contract "gatehouse/cgi"
	cgi "gatehouse/cgi/httpcgi" // was "net/http/cgi"
	"gatehouse/cgi/script"
)

// A server with a CGI program beside its own handlers.
func ExampleHandler() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	program := filepath.Join(dir, "hello.cgi")
	text := "#!/bin/sh\necho 'Content-Type: text/plain'\necho\necho \"hello $1, you asked for $PATH_INFO\"\n"
	if err := os.WriteFile(program, []byte(text), 0o755); err != nil {
		log.Fatal(err)
	}

	h := &cgi.Handler{Path: program, Root: "/hello", Args: []string{"world"}}
	h.Limits.FirstByte = 10 * time.Second // 504 after it
	defer h.Close()
	mux := http.NewServeMux()
	mux.Handle("/hello/", h)

	server := httptest.NewServer(mux)
	defer server.Close()
	res, err := http.Get(server.URL + "/hello/a/b")
	if err != nil {
		log.Fatal(err)
	}
	defer res.Body.Close()
	io.Copy(os.Stdout, res.Body)
	// Output:
	// hello world, you asked for /a/b
}

// A program may respond to local redirects by its own handlers.
func ExampleHandler_pathLocationHandler() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	program := filepath.Join(dir, "search.cgi")
	if err := os.WriteFile(program, []byte("#!/bin/sh\nprintf 'Location: /result?n=1\\n\\n'\n"), 0o755); err != nil {
		log.Fatal(err)
	}

	mux := http.NewServeMux()
	h := &cgi.Handler{Path: program, Root: "/search", PathLocationHandler: mux}
	defer h.Close()
	mux.Handle("/search", h)
	mux.HandleFunc("/result", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(w, "result", r.FormValue("n"))
	})

	w := httptest.NewRecorder()
	mux.ServeHTTP(w, httptest.NewRequest("GET", "/search", nil))
	fmt.Print(w.Code, " ", w.Body)
	// Output:
	// 200 result 1
}

// All programs of a directory.
func Example_directory() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	text := "#!/bin/sh\nprintf 'Content-Type: text/plain\\n\\n'\necho $SCRIPT_NAME\n"
	for _, name := range []string{"a.cgi", "b.cgi"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o755); err != nil {
			log.Fatal(err)
		}
	}

	app := &script.App{Roots: []string{dir}}
	defer app.Close()
	mux := new(contract.Mux)
	if err := mux.Mount("/cgi-bin", app); err != nil {
		log.Fatal(err)
	}
	h := new(contract.Handler).HTTP(mux, contract.Limits{})

	for _, name := range []string{"a.cgi", "b.cgi"} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("GET", "/cgi-bin/"+name, nil))
		fmt.Print(w.Body)
	}
	// Output:
	// /cgi-bin/a.cgi
	// /cgi-bin/b.cgi
}

// A CGI program in Go.
func ExampleServe() {
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "hello, %s\n", r.RemoteAddr)
	})
	if err := cgi.Serve(handler); err != nil {
		os.Exit(1)
	}
}

func ExampleRequestFromMap() {
	r, err := cgi.RequestFromMap(map[string]string{
		"REQUEST_METHOD":  "GET",
		"SERVER_PROTOCOL": "HTTP/1.1",
		"HTTP_HOST":       "www.example.test",
		"HTTPS":           "on",
		"REQUEST_URI":     "/blog?p=1",
		"REMOTE_ADDR":     "192.0.2.7",
		"HTTP_COOKIE":     "session=1",
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(r.Method, r.URL, r.RemoteAddr, r.Header.Get("Cookie"))
	// Output:
	// GET https://www.example.test/blog?p=1 192.0.2.7:0 session=1
}
