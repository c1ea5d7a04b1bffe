//go:build !linux

package sandbox

import "errors"

// Self returns nil: there is no systemd.
func Self() *Sandbox { return nil }

// Of returns an error: there is no systemd.
func Of(int) (*Sandbox, error) { return nil, errors.New("there is no systemd on this system") }
