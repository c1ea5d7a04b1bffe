package script

import "golang.org/x/sys/windows"

const errBusy = windows.ERROR_SHARING_VIOLATION
