package main

import "os"

// duplicate returns f: there is no SIGPIPE.
func duplicate(f *os.File) *os.File { return f }
