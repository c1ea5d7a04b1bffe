package validate_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http/httptest"
	"os"

	"gatehouse/cgi"
	"gatehouse/cgi/validate"
)

// An application that forgets the Content-Type works by chance, as far as browsers
// guess. In development the validator finds the mistake at the first request.
func ExampleApp() {
	faulty := cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
		if err := w.StartResponse("200 OK", nil); err != nil {
			return err
		}
		_, err := io.WriteString(w, "Hello World")
		return err
	})

	// The log is shown without the time and the request's id.
	withoutTime := func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey || a.Key == "request" {
			return slog.Attr{}
		}
		return a
	}
	gateway := &cgi.Handler{
		Log: slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{ReplaceAttr: withoutTime})),
	}
	h := gateway.HTTP(&validate.App{App: faulty}, cgi.Limits{})

	answer := httptest.NewRecorder()
	h.ServeHTTP(answer, httptest.NewRequest("GET", "/", nil))
	fmt.Println(answer.Code)
	// Output:
	// level=ERROR msg="request failed" method=GET uri=/ status=500 error="validate: V28: the response with status 200 has no Content-Type"
	// 500
}

// Warnings go to the request's Stderr, or where Warn takes them: a test may fail by
// them.
func ExampleApp_warn() {
	app := &validate.App{
		App:  hello,
		Warn: func(w *validate.Warning) { fmt.Println(w) },
	}
	cgi.ToHTTP(app).ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("HEAD", "/", nil))
	// Output: validate: warning V45: the response to HEAD has a body, which is counted and discarded
}

// In a test the rule that was broken tells more than the error page.
func ExampleError() {
	faulty := cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
		err := w.StartResponse("200 OK", []cgi.Field{{Name: "Content-Type", Value: "text/plain"}, {Name: "Content-Length", Value: "5"}})
		if err != nil {
			return err
		}
		_, err = io.WriteString(w, "Hello World")
		return err
	})
	var broken *validate.Error
	gateway := &cgi.Handler{
		Log:       slog.New(slog.DiscardHandler),
		AccessLog: func(r *cgi.Request, res cgi.Result) { errors.As(res.Err, &broken) },
	}
	h := gateway.HTTP(&validate.App{App: faulty}, cgi.Limits{})
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
	fmt.Println(broken.Rule, broken.Msg)
	fmt.Println(errors.Is(broken, cgi.ErrContentLength))
	// Output:
	// V46 Content-Length is 5, and more than that is written
	// true
}

// A middleware is checked from both sides: as the application of the gateway, and as
// the gateway of the application behind it. This one forgets to close the body.
func ExampleWSGI() {
	app := func(_ *cgi.Environ, start cgi.StartResponse) (cgi.Body, error) {
		_, err := start("200 OK", []cgi.Field{{Name: "Content-Type", Value: "text/plain"}}, nil)
		return cgi.Blocks([]byte("Hello, "), []byte("world!")), err
	}
	shout := func(app cgi.WSGI) cgi.WSGI {
		return func(env *cgi.Environ, start cgi.StartResponse) (cgi.Body, error) {
			body, err := app(env, start)
			if err != nil {
				return nil, err
			}
			var all []byte
			for {
				block, err := body.Next()
				all = append(all, bytes.ToUpper(block)...)
				if err == io.EOF {
					return cgi.Blocks(all), nil
				}
				if err != nil {
					return nil, err
				}
			}
		}
	}
	site := &validate.App{App: shout(validate.WSGI(app))}

	r := &cgi.Request{Env: cgi.NewEnviron("REQUEST_METHOD=GET", "SERVER_NAME=localhost", "SERVER_PORT=80", "PATH_INFO=/", "QUERY_STRING=")}
	gateway := &cgi.Handler{LogError: func(_ *cgi.Request, err error, _ []byte) { fmt.Println(err) }}
	gateway.Run(r, new(textSink), site)
	// Output: validate: V37: the body of a WSGI application was never closed
}
