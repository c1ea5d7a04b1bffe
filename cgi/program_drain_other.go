//go:build !unix

package cgi

import "os"

// drainSocket does nothing: standard input is a pipe here.
func drainSocket(*os.File, int64) {}
