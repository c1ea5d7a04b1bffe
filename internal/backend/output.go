package backend

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"gatehouse/cgi"
	"gatehouse/cgi/relay"
)

// An Output is the response of an application, held to the limits of time by the goroutine
// that reads it. It is what a relay.Relay reads.
type Output struct {
	Source   relay.Output // the connection
	Activity *relay.Activity
	Limits   relay.Limits

	// Expired is the limit that has passed, and Err the error of the Source, which made Read
	// fail.
	Expired, Err error

	until time.Time // the relay's own deadline
}

// SetReadDeadline implements relay.Output.
func (o *Output) SetReadDeadline(t time.Time) error {
	o.until = t
	return nil
}

// Read implements relay.Output.
func (o *Output) Read(p []byte) (int, error) {
	for {
		name, limit, next := o.Activity.Expired(o.Limits)
		if name != "" {
			o.Expired = fmt.Errorf("%s of %v is over", name, limit)
			return 0, o.Expired
		}
		now := time.Now()
		wake := o.until
		if next != forever && (wake.IsZero() || now.Add(next).Before(wake)) {
			wake = now.Add(next)
		}
		o.Source.SetReadDeadline(wake)
		n, err := o.Source.Read(p)
		switch {
		case n > 0 || err == nil || err == io.EOF:
			return n, err
		case !errors.Is(err, os.ErrDeadlineExceeded):
			o.Err = err
			return 0, err
		}
		if !o.until.IsZero() && !time.Now().Before(o.until) {
			return 0, os.ErrDeadlineExceeded
		}
	}
}

// Blamed reports whether a request has failed because of the application: not of its own
// body, nor because nobody waits for it.
func (o *Output) Blamed(ctx context.Context, b *Body) bool {
	return (o.Expired != nil || o.Err != nil) && ctx.Err() == nil && b.Err() == nil
}

// Failure returns the error of a request that has failed with err: that of the limit which
// has passed, of the body, or of the context, which is why the rest failed; err if none is.
// name names the application.
func (o *Output) Failure(ctx context.Context, name string, b *Body, err error) error {
	switch {
	case o.Expired != nil:
		return &cgi.StatusError{Code: http.StatusGatewayTimeout, Err: fmt.Errorf("%s: %w", name, o.Expired)}
	case b.Err() != nil:
		return fmt.Errorf("%s: %w", name, b.Err())
	case ctx.Err() != nil:
		return cancelled(ctx, name)
	}
	return err
}

// cancelled returns why the context of a request was cancelled.
func cancelled(ctx context.Context, name string) error {
	cause := context.Cause(ctx)
	switch {
	case errors.Is(cause, cgi.ErrShutdown):
		return &cgi.StatusError{Code: http.StatusServiceUnavailable, RetryAfter: time.Second, Err: cause}
	case errors.Is(cause, context.DeadlineExceeded):
		return &cgi.StatusError{Code: http.StatusGatewayTimeout, Err: fmt.Errorf("%s: %w", name, cause)}
	}
	return fmt.Errorf("%s: %w", name, cause)
}
