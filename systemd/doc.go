// Package systemd finds the descriptors that a process was started with: those that
// systemd passes (sd_listen_fds(3)), and what the kernel says of any of them.
//
//	list, err := systemd.Process{}.Descriptors()
//
// Descriptors are classified by what the kernel says of them ([Inspect]), never by a
// variable alone. Nothing is found on systems other than Linux. gatehouse.FindStart
// tells from them how the process was started.
//
// LISTEN_PID, LISTEN_PIDFDID, LISTEN_FDS and LISTEN_FDNAMES are removed from the
// environment by the first call that looks at them, and the descriptors are closed
// on exec, so that no program started later takes them for its own.
package systemd
