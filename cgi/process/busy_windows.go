package process

import "golang.org/x/sys/windows"

// ErrBusy is the error of the system for a program that somebody is writing.
const ErrBusy = windows.ERROR_SHARING_VIOLATION
