package process

import "slices"

// managerNames are the variables by which systemd, or IIS, talks to this process, and to no program of
// its.
var managerNames = []string{
	"LISTEN_FDNAMES", "LISTEN_FDS", "LISTEN_PID", "LISTEN_PIDFDID", "MAINPID", "MANAGERPID", "NOTIFY_SOCKET",
	"WATCHDOG_PID", "WATCHDOG_USEC", "ASPNETCORE_TOKEN",
}

// IsManagers reports whether a variable of the environment is for this process alone: systemd, or
// IIS, has set it. Programs do not inherit it.
func IsManagers(name string) bool { return slices.Contains(managerNames, name) }
