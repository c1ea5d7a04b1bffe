// Package systemd finds the descriptors that systemd passed to this process
// (sd_listen_fds(3)), finds out what kind of sockets they are, and tells the service
// manager about the state of the process (sd_notify(3)).
//
//	list, err := systemd.Process{}.Descriptors()
//	manager, err := systemd.Process{}.Notifier()
//
// Descriptors are classified by what the kernel reports ([Inspect]), never by a variable
// alone. On systems other than Linux, no sockets are found. gatehouse.FindStart uses them
// to find out how the process was started.
//
// The first call removes LISTEN_PID, LISTEN_PIDFDID, LISTEN_FDS and LISTEN_FDNAMES from
// the environment, and sets the descriptors to close on exec, so that no program started
// later mistakes them for its own.
package systemd
