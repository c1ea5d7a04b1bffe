package simpleserver_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"gatehouse/cgi"
	"gatehouse/cgi/simpleserver"
)

// The small file server of wsgiref's documentation, in the terms of WSGI: the type is
// guessed from the name, and the file is the body. Other than there, a path cannot leave
// the directory. Package files does more, and is shorter to use.
func ExampleServer() {
	dir, err := os.MkdirTemp("", "public")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	if err := os.WriteFile(filepath.Join(dir, "index.html"), []byte("<p>Welcome.</p>\n"), 0o600); err != nil {
		fmt.Println(err)
		return
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer root.Close()

	files := cgi.WSGI(func(env *cgi.Environ, start cgi.StartResponse) (cgi.Body, error) {
		name := strings.TrimPrefix(env.Get("PATH_INFO"), "/")
		if !strings.Contains(name, ".") {
			name = filepath.Join(name, "index.html")
		}
		f, err := root.Open(name)
		if err != nil {
			return nil, &cgi.StatusError{Code: http.StatusNotFound, Err: err}
		}
		_, err = start("200 OK", []cgi.Field{{Name: "Content-Type", Value: mime.TypeByExtension(filepath.Ext(name))}}, nil)
		return &cgi.File{R: f}, err
	})
	s := &simpleserver.Server{
		Addr:      "127.0.0.1:0", // a free port
		App:       files,
		AccessLog: io.Discard,
		Handler:   &cgi.Handler{Log: slog.New(slog.DiscardHandler)},
	}
	if err := s.Listen(); err != nil {
		fmt.Println(err)
		return
	}

	// Until an interrupt: signal.NotifyContext.
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- s.ListenAndServe(ctx) }()
	get(s.ServerAddr(), "/")
	get(s.ServerAddr(), "/none.html")
	get(s.ServerAddr(), "/../../../etc/passwd.txt")
	stop()
	fmt.Println("stopped:", <-done)
	// Output:
	// <p>Welcome.</p>
	// 404 Not Found
	// 404 Not Found
	// stopped: <nil>
}

// What a web server passes on. Over HTTP a browser gets the same as an HTML page.
func ExampleDemoApp() {
	var out strings.Builder
	program := cgi.Program{
		Env:    cgi.NewEnviron("REQUEST_METHOD=GET", "PATH_INFO=/caf\u00e9", "HTTP_ACCEPT=text/plain"),
		Stdin:  strings.NewReader(""),
		Stdout: &out,
	}
	if err := program.Serve(cgi.AppFunc(simpleserver.DemoApp)); err != nil {
		fmt.Println(err)
	}
	_, page, _ := strings.Cut(out.String(), "\r\n\r\n")
	fmt.Print(page)
	// Output:
	// Hello world!
	//
	// HTTP_ACCEPT = 'text/plain'
	// PATH_INFO = '/cafÃ©'
	// REQUEST_METHOD = 'GET'
}

// Variables that an application is configured by, and the access log.
func ExampleServer_HandleOne() {
	s, err := simpleserver.MakeServer("127.0.0.1", 0, cgi.WSGI(func(env *cgi.Environ, start cgi.StartResponse) (cgi.Body, error) {
		_, err := start("200 OK", []cgi.Field{{Name: "Content-Type", Value: "text/plain"}}, nil)
		return cgi.Blocks(fmt.Appendln(nil, env.Get("SERVER_NAME"), env.Get("WIKI_ROOT"))), err
	}))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer s.Close()
	var access strings.Builder
	s.BaseEnv = cgi.NewEnviron("SERVER_NAME=wiki.example.org", "WIKI_ROOT=/srv/wiki")
	s.AccessLog = &access
	done := make(chan error)
	go func() { done <- s.HandleOne(nil) }()
	get(s.ServerAddr(), "/Main_Page")
	if err := <-done; err != nil {
		fmt.Println(err)
	}
	_, line, _ := strings.Cut(access.String(), "] ")
	fmt.Print(line)
	// Output:
	// wiki.example.org /srv/wiki
	// "GET /Main_Page HTTP/1.0" 200 27
}
