package admin

import "golang.org/x/sys/windows"

// errRefused is the error of connecting where nobody listens.
const errRefused = windows.WSAECONNREFUSED
