package files_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"

	"gatehouse/cgi"
	"gatehouse/cgi/files"
	"gatehouse/cgi/simpleserver"
)

func ExampleApp() {
	dir, err := os.MkdirTemp("", "public")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	if err := os.WriteFile(filepath.Join(dir, "style.css"), []byte("body { color: teal }"), 0o644); err != nil {
		log.Fatal(err)
	}
	var mux cgi.Mux
	if err := mux.Mount("/static", &files.App{Dir: dir}); err != nil {
		log.Fatal(err)
	}
	quiet := cgi.Handler{Log: slog.New(slog.DiscardHandler)}
	h := quiet.HTTP(&mux, cgi.Limits{})
	for _, path := range []string{"/static/style.css", "/static/none", "/static"} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
		fmt.Println(w.Code, w.Header().Get("Location"), strings.TrimSpace(w.Body.String()))
	}
	// Output:
	// 200  body { color: teal }
	// 404  404 Not Found
	// 301 ./static/
}

// A small file server, as "gatehouse serve" is one with --app /=files:DIR.
func Example() {
	dir, err := os.MkdirTemp("", "public")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	if err := os.WriteFile(filepath.Join(dir, "index.html"), []byte("<p>Welcome.</p>"), 0o644); err != nil {
		log.Fatal(err)
	}

	app := &files.App{Dir: dir}
	if err := app.Check(); err != nil {
		log.Fatal(err)
	}
	s, err := simpleserver.MakeServer("127.0.0.1", 0, app)
	if err != nil {
		log.Fatal(err)
	}
	s.AccessLog = io.Discard
	ctx, stop := context.WithCancel(context.Background()) // signal.NotifyContext, in a program
	done := make(chan error)
	go func() { done <- s.ListenAndServe(ctx) }()

	resp, err := http.Get("http://" + s.ServerAddr().String() + "/")
	if err != nil {
		log.Fatal(err)
	}
	page, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	fmt.Printf("%s: %s (%v)\n", resp.Header.Get("Content-Type"), page, err)
	stop()
	fmt.Println(<-done)
	// Output:
	// text/html; charset=utf-8: <p>Welcome.</p> (<nil>)
	// <nil>
}
