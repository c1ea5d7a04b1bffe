// Package systemd finds out what a process was given when it was started: the
// descriptors that systemd passes (sd_listen_fds(3)), and the socket on descriptor
// 0 of FastCGI's own convention (FastCGI 1.0 § 2.2) and of inetd.
//
//	start, err := systemd.Process{}.Start()
//
// tells which of them it was. Descriptors are classified by what the kernel says
// of them, never by a variable alone. Nothing is found on systems other than
// Linux, except that the process is a CGI program.
//
// # Protocols
//
// systemd hands descriptors over in no order that could be relied on, so they are
// told apart by FileDescriptorName=: "fastcgi", "scgi", "http", or one of these
// with a suffix, "fastcgi.site". A listening stream socket without a name of its own
// is FastCGI. With Accept=yes, a connection without a name is SCGI.
//
// # Descriptors
//
// LISTEN_PID, LISTEN_PIDFDID, LISTEN_FDS and LISTEN_FDNAMES are removed from the
// environment by the first call that looks at them, and the descriptors are closed
// on exec, so that no program started later takes them for its own.
package systemd
