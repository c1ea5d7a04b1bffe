package cgi

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"testing"
)

// helloVariables are what nginx sends with its stock parameters and a common browser.
func helloVariables() *Environ {
	return NewEnviron("QUERY_STRING=a=1&b=two", "REQUEST_METHOD=GET", "CONTENT_TYPE=", "CONTENT_LENGTH=",
		"SCRIPT_NAME=/hello", "REQUEST_URI=/hello?a=1&b=two", "DOCUMENT_URI=/hello", "DOCUMENT_ROOT=/var/www/html",
		"SERVER_PROTOCOL=HTTP/1.1", "REQUEST_SCHEME=http", "GATEWAY_INTERFACE=CGI/1.1", "SERVER_SOFTWARE=nginx/1.22.1",
		"REMOTE_ADDR=127.0.0.1", "REMOTE_PORT=45678", "SERVER_ADDR=127.0.0.1", "SERVER_PORT=80",
		"SERVER_NAME=www.example.test", "REDIRECT_STATUS=200", "HTTP_HOST=www.example.test",
		"HTTP_USER_AGENT=Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
		"HTTP_ACCEPT=text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
		"HTTP_ACCEPT_LANGUAGE=en-US,en;q=0.5", "HTTP_ACCEPT_ENCODING=gzip, deflate", "HTTP_COOKIE=session=0123456789abcdef",
		"SCRIPT_FILENAME=/var/www/html/hello")
}

// A contextSource makes contexts as the front-ends on sockets do.
type contextSource struct{}

func (contextSource) RequestContext() context.Context {
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(nil)
	return ctx
}

func (contextSource) BaseContext() context.Context { return context.Background() }

// BenchmarkFromHTTP is hello with 25 variables, from the Request to the Sink.
func BenchmarkFromHTTP(b *testing.B) {
	hello := []byte("hello world\n")
	app := FromHTTP(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		w.Write(hello)
	}))
	env := helloVariables()
	h := &Handler{Log: slog.New(slog.DiscardHandler)}
	b.ReportAllocs()
	for b.Loop() {
		r := Request{Env: env, Body: http.NoBody, Stderr: io.Discard}
		r.SetContextSource(contextSource{})
		h.Run(&r, quietSink{}, app)
	}
}
