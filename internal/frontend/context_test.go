package frontend

import (
	"context"
	"errors"
	"testing"
)

func TestContext(t *testing.T) {
	type key struct{}
	base := context.WithValue(context.Background(), key{}, "base")
	first, second := errors.New("first"), errors.New("second")

	var c Context
	if c.Asked() || c.Cause() != nil {
		t.Error("it is not new")
	}
	c.End() // nobody has asked
	ctx := c.Get(base)
	if !c.Asked() || ctx != c.Get(context.Background()) || ctx.Value(key{}) != "base" || ctx.Err() != nil {
		t.Errorf("context %v", ctx)
	}
	c.Cancel(first)
	c.Cancel(second)
	c.End()
	if c.Cause() != first || context.Cause(ctx) != first {
		t.Errorf("cause %v, of the context %v", c.Cause(), context.Cause(ctx))
	}

	c = Context{}
	c.Cancel(first)
	if ctx := c.Get(base); context.Cause(ctx) != first {
		t.Errorf("asked for too late: cause %v", context.Cause(ctx))
	}

	c = Context{}
	ctx = c.Get(base)
	c.End()
	if context.Cause(ctx) != context.Canceled || c.Cause() != nil {
		t.Errorf("at the end: cause %v, of the context %v", c.Cause(), context.Cause(ctx))
	}
}
