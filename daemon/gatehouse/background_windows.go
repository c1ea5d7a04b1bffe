package main

import (
	"errors"
	"io/fs"
	"log/slog"
)

var errUnix = errors.New("not available on Windows")

func startInBackground([]string) error { return errUnix }

func inBackground(func(string) string) (yes bool, ready func() error) { return false, nil }

func systemLog(string) (*slog.Logger, func() error) { return nil, nil }

// socketMode has no meaning here.
func socketMode() fs.FileMode { return 0o660 }
