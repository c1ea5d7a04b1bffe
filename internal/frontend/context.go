package frontend

import "context"

// A Context is the context of a request, created only when needed. A lock of its owner
// guards it. The zero value is ready to use.
type Context struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
	cause  error
}

// Get returns the context. The first call derives it from base.
func (c *Context) Get(base context.Context) context.Context {
	if c.ctx == nil {
		c.ctx, c.cancel = context.WithCancelCause(base)
		if c.cause != nil {
			c.cancel(c.cause)
		}
	}
	return c.ctx
}

// Asked reports whether Get has been called.
func (c *Context) Asked() bool { return c.ctx != nil }

// Cancel cancels the context, even if it is created later. Only the first cause counts.
func (c *Context) Cancel(cause error) {
	if c.cause != nil {
		return
	}
	c.cause = cause
	if c.cancel != nil {
		c.cancel(cause)
	}
}

// Cause returns the cause given to Cancel, or nil.
func (c *Context) Cause() error { return c.cause }

// End cancels the context, if it was created, because the request has ended. The cause is
// context.Canceled.
func (c *Context) End() {
	if c.cancel != nil {
		c.cancel(context.Canceled)
	}
}
