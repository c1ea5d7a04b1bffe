package cgi_test

import (
	"io"
	"log"
	"log/slog"

	"gatehouse/cgi"
)

// An application that sends its clients to another path without their knowledge. Over
// HTTP a Redirector follows; behind a web server the client does, unless the
// application asks for RedirectInternal.
func ExampleRedirector() {
	old := cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
		const location = "/new?from=old"
		if r.FollowsRedirects(cgi.RedirectAuto) {
			return &cgi.LocalRedirect{Location: location}
		}
		return w.StartResponse("302 Found", []cgi.Field{{Name: "Location", Value: location}})
	})
	page := cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
		if err := w.StartResponse("200 OK", []cgi.Field{{Name: "Content-Type", Value: "text/plain"}}); err != nil {
			return err
		}
		_, err := io.WriteString(w, r.Env.Get("QUERY_STRING")+", after "+r.Env.Get("REDIRECT_URL")+"\n")
		return err
	})
	m := new(cgi.Mux)
	if err := m.Mount("/old", old); err != nil {
		log.Fatal(err)
	}
	if err := m.Mount("/new", page); err != nil {
		log.Fatal(err)
	}
	h := &cgi.Handler{Log: slog.New(slog.DiscardHandler)}
	get(h.HTTP(&cgi.Redirector{App: m}, cgi.Limits{}), "/old")
	get(h.HTTP(m, cgi.Limits{}), "/old")
	// Output:
	// 200 from=old, after /old
	// 302
}
