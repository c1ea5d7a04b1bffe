//go:build unix

package main

import (
	"os"

	"golang.org/x/sys/unix"
)

// terminalSize returns the size of a terminal in characters.
func terminalSize(f *os.File) (width, height int, err error) {
	w, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ)
	if err != nil {
		return 0, 0, err
	}
	if w.Col == 0 || w.Row == 0 { // it does not know
		return 80, 24, nil
	}
	return int(w.Col), int(w.Row), nil
}
