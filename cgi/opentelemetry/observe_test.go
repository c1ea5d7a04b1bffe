package opentelemetry_test

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"testing"

	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"gatehouse/cgi"
	"gatehouse/cgi/cgitest"
	"gatehouse/cgi/opentelemetry"
)

// TestObserve: a request is a span below that of the web server, and what its handler does has
// spans below that.
func TestObserve(t *testing.T) {
	recorder := tracetest.NewSpanRecorder()
	provider := trace.NewTracerProvider(trace.WithSpanProcessor(recorder))
	tracer := provider.Tracer("test")
	m := new(cgi.Mux)
	m.Mount("/ok", cgi.FromHTTP(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, span := tracer.Start(r.Context(), "inner")
		defer span.End()
		io.Copy(io.Discard, r.Body)
		io.WriteString(w, "hello")
	})))
	m.Mount("/fails", cgi.AppFunc(func(cgi.ResponseWriter, *cgi.Request) error { return errors.New("it broke") }))
	m.Mount("/gone", cgi.AppFunc(func(cgi.ResponseWriter, *cgi.Request) error { return cgi.ErrAborted }))
	h := &cgi.Handler{Observe: opentelemetry.Observe(tracer), Log: slog.New(slog.DiscardHandler)}
	for _, path := range []string{"/ok/x", "/fails", "/gone"} {
		h.Run(&cgi.Request{Protocol: "fastcgi", Env: cgi.NewEnviron("REQUEST_METHOD=GET", "REQUEST_URI="+path, "SCRIPT_NAME="+path, "REMOTE_ADDR=192.0.2.1",
			"HTTP_TRACEPARENT=00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "HTTP_TRACESTATE=a=b")}, new(cgitest.Recorder), m)
	}
	spans := recorder.Ended()
	if len(spans) != 4 {
		t.Fatalf("%d spans", len(spans))
	}
	inner, outer := spans[0], spans[1]
	if inner.Name() != "inner" || inner.Parent().SpanID() != outer.SpanContext().SpanID() {
		t.Errorf("the span of the handler, %s, is below %v", inner.Name(), inner.Parent())
	}
	for i, want := range []string{"GET /ok 200 Unset", "GET /fails 500 Error", "GET /gone 0 Unset"} {
		s := spans[i+1]
		if s.Parent().SpanID().String() != "00f067aa0ba902b7" || s.SpanContext().TraceID().String() != "4bf92f3577b34da6a3ce929d0e0e4736" || s.SpanContext().TraceState().String() != "a=b" {
			t.Errorf("%s is below %v", s.Name(), s.Parent())
		}
		code := ""
		for _, a := range s.Attributes() {
			if a.Key == "http.response.status_code" {
				code = a.Value.String()
			}
		}
		if got := fmt.Sprintf("%s %s %v", s.Name(), code, s.Status().Code); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	if n := len(spans[2].Events()); n != 2 { // the head, and the error
		t.Errorf("%d events of the request that failed", n)
	}
}
