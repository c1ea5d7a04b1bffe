package files_test

import (
	"fmt"
	"log"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"

	"gatehouse/cgi"
	"gatehouse/cgi/files"
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
