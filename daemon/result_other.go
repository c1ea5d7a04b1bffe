//go:build !linux

package daemon

import (
	"context"
	"errors"
)

type result struct{}

func beginResult() result { return result{} }

func (result) send(error) {}

// RequestReload works on Linux only.
func RequestReload(context.Context, int) error {
	return errors.New("reload is available on Linux only: send SIGHUP, and see the log")
}
