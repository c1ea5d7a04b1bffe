// Package daemon is the gateway as a process: its configuration, its addresses, its life
// cycle and its logs. The command gatehouse is a thin layer over it.
//
//	config, err := daemon.LoadConfig("/etc/gatehouse/gatehouse.toml")
//	d, err := daemon.Open(*config, daemon.Environment{})
//	err = d.Serve(ctx, signals)
//
// Open reports everything that can be found before the first request: directories and
// programs that are missing or that this user may not use, files that cannot be written,
// and sockets that cannot be opened. [Config.Check] finds all but the last. Only requests
// can show a program that does not start or crashes, files that change later, and a disk
// that fills up.
//
// # Configuration
//
// The configuration is TOML. An unknown key is an error, with its line and column.
// Paths are absolute. [KeyTable] and [LimitTable] document the keys; "gatehouse help
// config" and "gatehouse help limits" print them.
//
//	fastcgi = ["unix:/run/gatehouse/fastcgi.sock,group=www-data"]
//	scgi = ["127.0.0.1:4000"]
//	http = ["127.0.0.1:8080"]
//	allow = ["192.0.2.7"]           # TCP peers; needed unless the address is loopback
//	allow_users = ["www-data"]      # whose processes may connect to unix sockets
//	multiplex = true                # several requests on a FastCGI connection
//	access_log = "off"              # or "stderr", or a file
//	paths = "auto"                  # or nginx, apache, iis, keep, request
//	idle_exit = "5m"                # end when nobody needs it; off by default
//	validate = false                # check the web server and the applications
//	drain = "30s"                   # and the other keys of [LimitTable]
//
//	[[app]]
//	prefix = "/cgi-bin"
//	scripts = "/usr/lib/cgi-bin"    # a directory, a program, or a list of them
//	follow = ["/usr/share/gitweb"]  # where symlinks may lead: programs, or directories
//	env = { GIT_PROJECT_ROOT = "/srv/git" }
//	inherit = ["PATH", "LANG", "TZ"] # or "all"
//	stderr = "log"                  # or "client": the web server's error log
//	pass_authorization = false
//	programs = 8                    # a limit for this application only
//
//	[[app]]
//	prefix = "/hello"
//	hello = true                    # or demo = true
//
//	[[app]]
//	prefix = "/static"
//	files = "/srv/static"           # a directory
//	hidden = false                  # whether names may begin with a dot
//
// With validate, package validate checks the requests and responses of each application,
// after mount points are resolved. A violation gets an error page, and the log names the
// rule. This is for development.
//
// # Listening
//
// [ParseAddress] documents the form of addresses. A unix socket has mode 0660 by default,
// whatever the umask is, and nobody can connect before its owner and mode are set. A socket
// left over from another process is replaced after a connection to it has been refused; a
// socket in use never is. On shutdown the daemon removes its sockets, if they are still its
// own.
//
// FastCGI and SCGI have no authentication. On an address that other machines can reach they
// need allow. If allow is given, it applies to HTTP as well; it never applies to loopback.
//
// The permissions of a unix socket decide which processes may connect. With allow_users
// the process must also run as one of these users, on every unix socket and for every
// protocol; root is not allowed unless it is listed. With nginx and Apache the workers
// connect, which run as www-data on Debian. This works on Linux only.
//
// A listening socket on descriptor 0 may come with FCGI_WEB_SERVER_ADDRS in the
// environment, which lists the addresses of the web server (FastCGI 1.0 § 3.2). All other
// peers are then refused, and the list replaces allow. A malformed list is an error.
//
// The limits first_byte, silence and run apply to programs, which are terminated when they
// exceed one. The applications built into gatehouse need no such limits. A Go program sets
// RunTime and FirstByte of its cgi.Handler instead.
//
// Without an address the daemon serves what the process was started with (see package
// gatehouse). Otherwise it opens HTTP on 127.0.0.1:8080, FastCGI on 127.0.0.1:9000 and SCGI
// on 127.0.0.1:4000.
//
// # Logs
//
// The log and the access log have a [LogWriter] each: nobody who logs, and no signal, waits for
// whoever reads them. Of lines that do not fit the number is logged. Lines that were accepted
// but not yet written are lost if the process crashes; what Go prints of a panic goes straight to
// standard error.
//
// A value has up to 2 KiB; more is cut, and ends in "...". What peers can cause as often as they
// like, such as connections that are refused or malformed, is logged at once if it is the first
// of its kind, and then as a number, "times", every 10 s, and at the end.
//
// # Life cycle
//
// On SIGTERM or SIGINT the daemon stops accepting and lets the requests in flight finish,
// for up to the drain time. Responses still unfinished then are visibly truncated. A second
// signal truncates them at once. In flight is every request of a client that has connected;
// package gatehouse has the details (Shutdown).
//
// Package gatehouse says what the daemon tells systemd, and what its watchdog finds (Service
// managers). Descriptor [Environment].ReadyFD gets a line feed when the daemon serves. With
// idle_exit, the daemon ends, with status 0, when no request has been in flight for that
// long; every socket must have been passed to it.
package daemon
