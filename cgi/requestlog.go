package cgi

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
)

// logFailure writes the one log line of a failed request.
func (w *response) logFailure(res Result) {
	level, msg := slog.LevelError, "request failed"
	attrs := []any{w.req.LogAttr()}
	if method := w.req.Env.Get("REQUEST_METHOD"); method != "" {
		attrs = append(attrs, "method", method, "uri", w.req.Env.RequestTarget())
	}
	if p := w.req.Script; p != "" && !strings.Contains(res.Err.Error(), p) {
		attrs = append(attrs, "script", p)
	}
	if res.Code != 0 {
		attrs = append(attrs, "status", res.Code)
	}
	var p *panicError
	switch {
	case errors.As(res.Err, &p): // even if the client is gone
		msg = "application panicked"
		attrs = append(attrs, "stack", string(p.stack))
	case w.overrun != nil && errors.Is(res.Err, ErrContentLength): // likewise
		level, msg = slog.LevelWarn, "response cut"
	case res.End == Aborted:
		level, msg = slog.LevelInfo, "client gone"
	case res.Err == errAbortHandler:
		level = slog.LevelDebug
	case res.End == Truncated:
		msg = "response truncated"
	case res.Code < 500 && res.Code != 0:
		level, msg = slog.LevelWarn, "request refused"
		if res.Code < 400 {
			msg = "response cut"
		}
	}
	if h := w.handler; h.LogError != nil && level >= slog.LevelWarn {
		var stack []byte
		if p != nil {
			stack = p.stack
		}
		h.LogError(w.req, res.Err, stack)
		return
	}
	if se := (*StatusError)(nil); errors.As(res.Err, &se) && se.Logged && p == nil {
		return
	}
	attrs = append(attrs, "error", res.Err.Error())
	w.handler.log().Log(context.Background(), level, msg, attrs...)
}

// limitStack returns the stack of a panic from the call that panicked upwards, with at
// most n calls if n is not zero.
func limitStack(stack []byte, n int) []byte {
	if n <= 0 {
		return stack
	}
	lines := bytes.SplitAfter(stack, []byte("\n"))
	first := 1
	for i, l := range lines {
		if bytes.HasPrefix(l, []byte("panic(")) {
			first = i + 2
		}
	}
	if first >= len(lines) {
		return stack
	}
	// A call is two lines: the function, and where in it.
	return bytes.Join(append(lines[:1:1], lines[first:min(first+2*n, len(lines))]...), nil)
}
