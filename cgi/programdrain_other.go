//go:build !unix

package cgi

import "os"

// drain does nothing: standard input is a pipe here.
func drain(*os.File, int64) {}
