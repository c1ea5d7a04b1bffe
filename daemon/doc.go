// Package daemon is the gateway as a process: its configuration, where it listens,
// its life and its logs. The command gatehouse is a thin layer over it.
//
//	config, err := daemon.LoadConfig("/etc/gatehouse/gatehouse.toml")
//	d, err := daemon.Open(*config, daemon.Environment{})
//	err = d.Serve(ctx, signals)
//
// Whatever can be known to fail before the first request fails in Open: directories
// and programs that are missing, or that this user may not use, files that cannot be
// written, sockets that cannot be opened. [Config.Check] finds all but the last. Left
// to the requests are a program that does not start or breaks, files that change
// later, and a disk that fills up.
//
// # Configuration
//
// The configuration is TOML. An unknown key is an error, with its line and column.
// Paths are absolute. [KeyTable] and [LimitTable] are its manual, which "gatehouse
// help config" and "gatehouse help limits" print.
//
//	fastcgi = ["unix:/run/gatehouse/fastcgi.sock,group=www-data"]
//	scgi = ["127.0.0.1:4000"]
//	http = ["127.0.0.1:8080"]
//	allow = ["192.0.2.7"]           # TCP peers, needed unless it is loopback
//	allow_users = ["www-data"]      # whose processes may connect to unix sockets
//	multiplex = true                # several requests on a FastCGI connection
//	access_log = "off"              # or "stderr", or a file
//	paths = "auto"                  # or nginx, apache, iis, keep
//	validate = false                # check what web server and applications do
//	drain = "30s"                   # and the other keys of [LimitTable]
//
//	[[app]]
//	prefix = "/cgi-bin"
//	scripts = "/usr/lib/cgi-bin"    # a directory, a program, or a list of them
//	follow = ["/usr/share/gitweb"]  # where symlinks may lead
//	env = { GIT_PROJECT_ROOT = "/srv/git" }
//	inherit = ["PATH", "LANG", "TZ"] # or "all"
//	stderr = "log"                  # or "client": the web server's error log
//	pass_authorization = false
//	programs = 8                    # a limit for this application alone
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
// With validate each application has package validate in front of it, behind the
// mount points: what breaks a rule is answered by an error page, and the log names
// the rule. It is for development.
//
// # Listening
//
// [ParseAddress] tells how addresses are written. A unix socket has the mode 0660
// unless told otherwise, whatever the umask is, and nobody can connect before its
// owner and mode are settled. One that is left over from another process is
// replaced after a connection to it was refused; one that is in use never is. At the
// end the daemon removes its sockets, if they are still its own.
//
// FastCGI and SCGI know no authentication. On an address that other machines reach
// they need allow. It holds for HTTP as well where that is given, and never for
// loopback.
//
// To a unix socket whoever its permissions let may connect. With allow_users the
// process that connects must be one of these users', too, on every unix socket, whatever
// is spoken there; root is not allowed unless it is listed. The workers of nginx and
// Apache connect, which run as www-data on Debian. It is for Linux.
//
// A listening socket on descriptor 0 may come with FCGI_WEB_SERVER_ADDRS in the
// environment, which lists the addresses of the web server (FastCGI 1.0 § 3.2): all other
// peers are refused then, and such a list takes the place of allow. One that is
// malformed is an error.
//
// The limits first_byte, silence and run are those of programs, which are ended. The
// applications that are in gatehouse itself need none: a Go program has fields of
// cgi.Handler for its own, RunTime and FirstByte.
//
// Without an address the daemon serves what the process was started with, see
// package gatehouse, or else opens HTTP on 127.0.0.1:8080, FastCGI on 127.0.0.1:9000
// and SCGI on 127.0.0.1:4000.
//
// # Life
//
// SIGTERM and SIGINT stop accepting and let the requests in flight end, for the
// time of drain; what is left then is visibly truncated. A second signal does so
// at once.
package daemon
