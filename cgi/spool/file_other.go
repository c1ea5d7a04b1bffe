//go:build !linux

package spool

import "os"

func create(dir string) (*os.File, error) { return createNamed(dir) }
