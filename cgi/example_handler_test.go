package cgi_test

import (
	"context"
	"errors"
	"fmt"
	"html"
	"io"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"time"

	"gatehouse/cgi"
)

var failing = cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
	return errors.New("the database is on fire")
})

// The error page of an application that fails. It tells nothing of the cause.
func ExampleHandler() {
	h := quiet()
	h.ErrorStatus = "500 Oops"
	h.ErrorBody = "We are looking into it.\n"
	show(h, failing)
	// Output:
	// Status: 500 Oops
	// Content-Type: text/plain
	// Content-Length: 24
	//
	// We are looking into it.
	// exit status 1
}

// A page of one's own for every failure. What it says of the error, everybody reads.
func ExampleHandler_errorOutput() {
	h := quiet()
	h.ErrorOutput = func(w cgi.ResponseWriter, r *cgi.Request, err error) error {
		status := "500 Internal Server Error"
		var se *cgi.StatusError
		if errors.As(err, &se) {
			status = fmt.Sprintf("%d %s", se.Code, http.StatusText(se.Code))
		}
		if err := w.StartResponse(status, []cgi.Field{{Name: "Content-Type", Value: "text/html; charset=utf-8"}}); err != nil {
			return err
		}
		_, err = fmt.Fprintf(w, "<h1>%s</h1><p>Sorry about %s.</p>", status, html.EscapeString(r.Env.RequestTarget()))
		return err
	}
	server := h.HTTP(failing, cgi.Limits{})
	get(server, "/order?id=1")
	missing := cgi.AppFunc(func(cgi.ResponseWriter, *cgi.Request) error { return &cgi.StatusError{Code: 404} })
	get(h.HTTP(missing, cgi.Limits{}), "/<script>")
	// Output:
	// 500 <h1>500 Internal Server Error</h1><p>Sorry about /order?id=1.</p>
	// 404 <h1>404 Not Found</h1><p>Sorry about /&lt;script&gt;.</p>
}

// Failures go elsewhere than to the log: to somebody who is woken up by them.
func ExampleHandler_logError() {
	h := &cgi.Handler{
		StackLimit: 5,
		LogError: func(r *cgi.Request, err error, stack []byte) {
			fmt.Printf("%s: %v (a panic: %v)\n", r.Env.Get("REQUEST_URI"), err, stack != nil)
		},
	}
	get(h.HTTP(failing, cgi.Limits{}), "/order")
	overboard := cgi.AppFunc(func(cgi.ResponseWriter, *cgi.Request) error { panic("man overboard") })
	get(h.HTTP(overboard, cgi.Limits{}), "/ship")
	// Output:
	// /order: the database is on fire (a panic: false)
	// 500 A server error occurred.  Please contact the administrator.
	// /ship: panic: man overboard (a panic: true)
	// 500 A server error occurred.  Please contact the administrator.
}

// A CGI program whose output the web server passes on as it is: a script with a name
// that begins with "nph-".
func ExampleHandler_originServer() {
	h := quiet()
	h.OriginServer = true
	h.ServerSoftware = "nph-hello/1.0"
	h.Now = func() time.Time { return time.Date(2006, 6, 5, 18, 49, 54, 0, time.UTC) }
	show(h, hello, "SERVER_PROTOCOL=HTTP/1.1", "SERVER_NAME=example.org", "REMOTE_ADDR=192.0.2.1")
	// Output:
	// HTTP/1.0 200 OK
	// Date: Mon, 05 Jun 2006 18:49:54 GMT
	// Server: nph-hello/1.0
	// Content-Type: text/plain
	// Content-Length: 36
	//
	// Hello from example.org to 192.0.2.1
}

// Variables for an application that is configured by them, without giving it the
// environment of the process. A variable of the request wins.
func ExampleHandler_baseEnv() {
	h := quiet()
	h.BaseEnv = cgi.NewEnviron("WIKI_ROOT=/srv/wiki", "SERVER_NAME=example.org")
	app := cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
		if err := w.StartResponse("200 OK", nil); err != nil {
			return err
		}
		_, err := fmt.Fprintf(w, "%s at %s", r.Env.Get("WIKI_ROOT"), r.Env.Get("SERVER_NAME"))
		return err
	})
	get(h.HTTP(app, cgi.Limits{}), "/")
	// Output: 200 /srv/wiki at example.com
}

// Fields that every answer gets or loses, error pages among them.
func ExampleHandler_cleanupHeaders() {
	h := quiet()
	h.CleanupHeaders = func(r *cgi.Request, code int, fields *cgi.Headers) {
		fields.Del("X-Powered-By")
		if code >= 400 {
			fields.Set("Cache-Control", "no-store")
		}
	}
	app := cgi.WSGI(func(env *cgi.Environ, start cgi.StartResponse) (cgi.Body, error) {
		_, err := start("404 Not Found", []cgi.Field{{Name: "X-Powered-By", Value: "spam/1.0"}}, nil)
		return cgi.Blocks(), err
	})
	show(h, app)
	// Output:
	// Status: 404 Not Found
	// Cache-Control: no-store
	// Content-Length: 0
}

// Files that are sent as a whole, without a Flush after each block. What fits into the
// Handler's buffer even gets its length so.
func ExampleHandler_sendFile() {
	h := quiet()
	h.SendFile = func(w cgi.ResponseWriter, f *cgi.File) (bool, error) {
		if _, ok := f.R.(*os.File); !ok {
			return false, nil // a slow source is sent block by block
		}
		_, err := f.WriteTo(w)
		return true, err
	}
	sends := func(r io.Reader) cgi.WSGI {
		return func(env *cgi.Environ, start cgi.StartResponse) (cgi.Body, error) {
			_, err := start("200 OK", plain, nil)
			return &cgi.File{R: r}, err
		}
	}
	name, err := writeTemp("Remember the milk.\n")
	if err != nil {
		log.Fatal(err)
	}
	defer os.Remove(name)
	file, err := os.Open(name)
	if err != nil {
		log.Fatal(err)
	}
	show(h, sends(file))
	show(h, sends(strings.NewReader("read block by block")))
	// Output:
	// Status: 200 OK
	// Content-Type: text/plain
	// Content-Length: 19
	//
	// Remember the milk.
	// Status: 200 OK
	// Content-Type: text/plain
	//
	// read block by block
}

// One line for each request after its end.
func ExampleHandler_accessLog() {
	h := quiet()
	h.AccessLog = func(r *cgi.Request, res cgi.Result) {
		fmt.Println(r.Env.Get("REQUEST_METHOD"), r.Env.RequestTarget(), res.Code, res.Bytes, res.End, res.Err)
	}
	get(h.HTTP(hello, cgi.Limits{}), "/hello")
	get(h.HTTP(failing, cgi.Limits{}), "/fail")
	// Output:
	// GET /hello 200 36 complete <nil>
	// 200 Hello from example.com to 192.0.2.1
	// GET /fail 500 59 complete the database is on fire
	// 500 A server error occurred.  Please contact the administrator.
}

// An application that is served over HTTP with bounds of one's own.
func ExampleHandler_HTTP() {
	upload := cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
		n, err := io.Copy(io.Discard, r.Body)
		if err != nil {
			return err
		}
		if err := w.StartResponse("201 Created", nil); err != nil {
			return err
		}
		_, err = fmt.Fprintln(w, n, "bytes")
		return err
	})
	server := quiet().HTTP(upload, cgi.Limits{BodyBytes: 10})
	for _, body := range []string{"ten bytes!", "more than that"} {
		w := httptest.NewRecorder()
		server.ServeHTTP(w, httptest.NewRequest("POST", "/", strings.NewReader(body)))
		fmt.Println(w.Code, strings.TrimSpace(w.Body.String()))
	}
	// Output:
	// 201 10 bytes
	// 413 413 Request Entity Too Large
}

// A scheme that no variable tells, and the run flags of PEP 3333.
func ExampleRunFlags() {
	h := &cgi.Handler{
		Log:      slog.New(slog.DiscardHandler),
		RunFlags: &cgi.RunFlags{Multithread: true},
		Scheme: func(env *cgi.Environ) string {
			if env.Get("HTTP_X_FORWARDED_PROTO") == "https" { // of a proxy that always sets it
				return "https"
			}
			return cgi.GuessScheme(env)
		},
	}
	app := cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
		if err := w.StartResponse("200 OK", nil); err != nil {
			return err
		}
		uri, err := cgi.ApplicationURI(r.Env)
		fmt.Fprintln(w, uri, r.Multithread, r.Multiprocess)
		return err
	})
	show(h, app, "HTTP_HOST=example.org", "HTTP_X_FORWARDED_PROTO=https")
	// Output:
	// Status: 200 OK
	// Content-Length: 32
	//
	// https://example.org/ true false
}

// A front-end: it decodes a request, and encodes the answer with a Sink.
func ExampleHandler_Run() {
	res := quiet().Run(&cgi.Request{Env: cgi.NewEnviron("REQUEST_METHOD=GET", "SERVER_NAME=example.org", "REMOTE_ADDR=::1")}, lines{}, hello)
	fmt.Println(res.Code, res.Bytes, res.End)
	// Output:
	// head: 200 OK
	// body: Hello from example.org to ::1
	// end: complete
	// 200 30 complete
}

// lines is a Sink that prints.
type lines struct{}

func (lines) WriteHead(h *cgi.Head) error {
	fmt.Println("head:", h.Status)
	return nil
}

func (lines) Write(p []byte) (int, error) {
	fmt.Printf("body: %s", p)
	return len(p), nil
}

func (lines) Flush() error { return nil }

func (lines) Finish(o cgi.Outcome) error {
	fmt.Println("end:", o.End)
	return nil
}

// A request that ends when its client leaves.
func ExampleRequest_Context() {
	ctx, leave := context.WithCancelCause(context.Background())
	r := &cgi.Request{Env: cgi.NewEnviron("REQUEST_METHOD=GET")}
	r.SetContext(ctx)
	res := quiet().Run(r, lines{}, cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
		leave(cgi.ErrAborted) // a front-end does this
		<-r.Context().Done()
		return context.Cause(r.Context())
	}))
	fmt.Println(res.Err)
	// Output:
	// end: aborted
	// the web server gave up the request
}
