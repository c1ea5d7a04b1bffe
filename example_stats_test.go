package gatehouse_test

import (
	"fmt"
	"log/slog"
	"net/http/httptest"

	"gatehouse/cgi"
)

// The figures of a Handler. A Server has more: see gatehouse.Server.Stats.
func Example_stats() {
	m := new(cgi.Mux)
	m.Mount("/hello", cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
		return w.StartResponse("204 No Content", nil)
	}))
	h := &cgi.Handler{Log: slog.New(slog.DiscardHandler)}
	front := h.HTTP(m, cgi.Limits{})
	for _, path := range []string{"/hello", "/hello/world", "/other"} {
		front.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", path, nil))
	}
	for _, s := range h.Stats() {
		for _, e := range s.Ended {
			fmt.Printf("%q: %d by %s with %d\n", s.Application, e.Count, e.Protocol, e.Code)
		}
	}
	// Output:
	// "": 1 by http with 404
	// "/hello": 2 by http with 204
}
