//go:build !windows

package spool

import "os"

func unlink(f *os.File) (*os.File, error) {
	if err := os.Remove(f.Name()); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}
