// Package opentelemetry makes a span of each request that a cgi.Handler runs: an example of
// cgi.Handler.Observe, to use as it is or to copy.
//
//	h := &cgi.Handler{Observe: opentelemetry.Observe(provider.Tracer("gatehouse"))}
//	s := &fastcgi.Server{App: app, Handler: h}
//
// The span is the child of the one that the field traceparent names, or begins a trace. It is in
// the request's context, so that what an http.Handler or an App does can have spans below it.
// Programs and upstreams get traceparent and tracestate as the web server sent them: their spans
// are siblings of this one.
package opentelemetry

import (
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"gatehouse/cgi"
)

// Observe returns the hook for cgi.Handler.Observe.
func Observe(tracer trace.Tracer) func(*cgi.Request) cgi.Observation {
	return func(r *cgi.Request) cgi.Observation {
		parent := propagation.TraceContext{}.Extract(r.Context(), carrier{r.Env})
		method := r.Env.Get("REQUEST_METHOD")
		ctx, span := tracer.Start(parent, method, trace.WithSpanKind(trace.SpanKindServer), trace.WithAttributes(
			attribute.String("http.request.method", method),
			attribute.String("url.path", r.FullPath()),
			attribute.String("client.address", r.Env.Get("REMOTE_ADDR")),
			attribute.String("network.protocol.name", r.Protocol),
		))
		r.SetContext(ctx)
		return &observation{span, method}
	}
}

// An observation ends the span of a request.
type observation struct {
	span   trace.Span
	method string
}

// Head implements cgi.Observation.
func (o *observation) Head(code int) {
	o.span.AddEvent("head", trace.WithAttributes(attribute.Int("http.response.status_code", code)))
}

// End implements cgi.Observation.
func (o *observation) End(res cgi.Result) {
	o.span.SetName(o.method + " " + res.Application)
	o.span.SetAttributes(
		attribute.Int("http.response.status_code", res.Code),
		attribute.Int64("http.request.body.size", res.BytesIn),
		attribute.Int64("http.response.body.size", res.Bytes),
		attribute.String("http.route", res.Application),
		attribute.Float64("gatehouse.queued", res.Usage.Queued.Seconds()),
	)
	if u := res.Usage; u.Program != "" {
		o.span.SetAttributes(attribute.String("process.executable.path", u.Program), attribute.Int("process.pid", u.PID))
	}
	if res.Check != "" {
		o.span.SetAttributes(attribute.String("error.type", res.Check))
	}
	// A client that has left is no error of the server's.
	if res.End == cgi.Truncated || res.Code >= 500 {
		o.span.SetStatus(codes.Error, "")
		if res.Err != nil {
			o.span.RecordError(res.Err)
		}
	}
	o.span.End()
}

// A carrier finds the fields of a trace among the variables.
type carrier struct{ env *cgi.Environ }

// Get implements propagation.TextMapCarrier.
func (c carrier) Get(key string) string {
	switch key {
	case "traceparent":
		return c.env.Get("HTTP_TRACEPARENT")
	case "tracestate":
		return c.env.Get("HTTP_TRACESTATE")
	}
	return ""
}

// Set implements propagation.TextMapCarrier. Nothing is sent on.
func (c carrier) Set(string, string) {}

// Keys implements propagation.TextMapCarrier.
func (c carrier) Keys() []string { return []string{"traceparent", "tracestate"} }
