package frontend

import "context"

// A Context is the context of a request, made only when somebody asks for it. A lock
// of its owner's guards it. The zero value is ready to use.
type Context struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
	cause  error
}

// Get returns the context, which it derives from base at the first call.
func (c *Context) Get(base context.Context) context.Context {
	if c.ctx == nil {
		c.ctx, c.cancel = context.WithCancelCause(base)
		if c.cause != nil {
			c.cancel(c.cause)
		}
	}
	return c.ctx
}

// Asked reports whether the context has been made.
func (c *Context) Asked() bool { return c.ctx != nil }

// Cancel cancels the context, also one that is made later. Only the first cause counts.
func (c *Context) Cancel(cause error) {
	if c.cause != nil {
		return
	}
	c.cause = cause
	if c.cancel != nil {
		c.cancel(cause)
	}
}

// Cause returns what Cancel was called with, or nil.
func (c *Context) Cause() error { return c.cause }

// End cancels a context that has been made, with context.Canceled as the cause: the
// request is over.
func (c *Context) End() {
	if c.cancel != nil {
		c.cancel(context.Canceled)
	}
}
