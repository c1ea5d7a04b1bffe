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
//	trusted_proxies = ["192.0.2.7"] # whose X-Forwarded-For counts, over HTTP
//	multiplex = true                # several requests on a FastCGI connection
//	log = "stderr"                  # or "syslog", or a file
//	log_format = "json"             # or text, journald
//	access_log = "off"              # or a place as for log
//	access_log_format = "combined"  # or common, json, or a template
//	request_id_header = "X-Request-Id" # that a proxy sets; by default ids are made
//	paths = "auto"                  # or nginx, apache, iis, keep, request
//	idle_exit = "5m"                # end when nobody needs it; off by default
//	validate = false                # check the web server and the applications
//	reload_on_change = false        # when sources of wsgi applications change
//	pid_file = "/run/gatehouse.pid" # for those who need one
//	ping = "/ping"                  # for health checks
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
//	[[app]]
//	prefix = "/blog"
//	fastcgi = "unix:/run/php/php-fpm.sock" # or scgi = "ADDR"; a list for several
//	root = "/srv/blog/current"      # where the PHP files lie
//	index = "index.php"             # serves what no file exists for
//	authorizer = "unix:/run/auth.sock" # is asked first, in any [[app]]
//
//	[[app]]
//	prefix = "/shop"
//	wsgi = "shop.wsgi:application"  # a WSGI application in Python
//	directory = "/srv/shop"         # the folder that has the module
//	python = "/srv/shop/venv"       # found in directory, if it is not written
//	workers = 4
//
// The keys of a single application may be at the top level, without [[app]], but for fastcgi
// and scgi, which say there where to listen:
//
//	fastcgi = "unix:/run/gatehouse/fastcgi.sock,group=www-data"
//	prefix = "/cgi-bin"
//	scripts = "/usr/lib/cgi-bin"
//
// With validate, package validate checks the requests and responses of each application,
// after mount points are resolved. A violation gets an error page, and the log names the
// rule. Workers put wsgiref.validate around their applications. This is for development, as is
// reload_on_change: a file in the folder of a wsgi application whose name ends in .py and that has
// been created, changed or removed is a SIGHUP ("Reloading"). Files are looked at twice a second.
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
// exceed one, and to applications that requests are passed on to, whose connection is then
// closed; queue, queue_wait, head_bytes and stderr_bytes apply to both, and connections is
// to the latter what programs is to the former. The applications built into gatehouse need no such limits. A Go program sets
// RunTime and FirstByte of its cgi.Handler instead.
//
// Without an address the daemon serves what the process was started with (see package
// gatehouse). Otherwise it opens HTTP on 127.0.0.1:8080, FastCGI on 127.0.0.1:9000 and SCGI
// on 127.0.0.1:4000.
//
// # Logs
//
// docs/operating.md describes the places and forms of the log and the access log. Each place has
// a [LogWriter]: nobody who logs, and no signal, waits for whoever reads it. Of lines that are
// lost the number is logged, and [Daemon.LostLines] has it. Lines that were accepted but not yet
// written are lost if the process crashes; what Go prints of a panic goes straight to standard
// error.
//
// A place has lines of one form: where the access log goes where the log goes, a request is a
// record of the log. [AccessFields] documents the fields of access_log_format.
//
// A value has up to 2 KiB; more is cut, and ends in "...". What peers can cause as often as they
// like, such as connections that are refused or malformed, is logged at once if it is the first
// of its kind, and then as a number, "times", every 10 s, and at the end.
//
// # Life cycle
//
// On SIGTERM, SIGINT or SIGQUIT the daemon stops accepting and lets the requests in flight
// finish, for up to the drain time. Responses still unfinished then are visibly truncated. A
// second signal truncates them at once. In flight is every request of a client that has
// connected; package gatehouse has the details (Shutdown).
//
// With drain_delay, the drain begins that much later. Until then connections are accepted and
// served, but [Daemon.Ready] reports false, so that whoever distributes requests can send them
// elsewhere first: at the path of ping, the daemon itself responds with 200, and from the signal
// on with 503, over every protocol. No application sees such a request, and none is mounted
// there. A second signal begins the drain at once, a third one truncates. "gatehouse
// drain" sends SIGTERM and waits for the end; in a container without a shell it is the command
// of a hook such as preStop. If the daemon is process 1, the container and this command end
// with it.
//
// On SIGUSR1 the files of the logs are opened anew under their names, for programs that rename
// them. Lines that wait to be written go to the new file. If one cannot be opened, the old one
// stays.
//
// The file that pid_file names has the number of the process, from when it listens until it
// ends. It always holds a whole number.
//
// Package gatehouse says what the daemon tells systemd, and what its watchdog finds (Service
// managers). Descriptor [Environment].ReadyFD gets a line feed when the daemon serves. With
// idle_exit, the daemon ends, with status 0, when no request has been in flight for that
// long; every socket must have been passed to it.
//
// # Reloading
//
// On SIGHUP the daemon goes on with the configuration that [Environment].Reload returns; the
// command reads its file and its flags again. Everything is prepared as at a start before
// anything changes. If something is wrong, the log has a line for each problem, in the words of
// "gatehouse check", and the old configuration stays.
//
//   - No connection is closed. What begins afterwards, also on a kept connection, is served
//     under the new configuration. Requests in flight end under the old one; its applications
//     are closed after the last of them. While 16 old configurations have requests in flight,
//     another reload is refused.
//   - Processes that an application keeps are replaced, also if its configuration has not changed.
//     As many as there are start before anything changes; if none of an application's is ready,
//     the reload has failed. The old ones end when they are free.
//   - Addresses that stay keep their sockets, also if their options or their protocol change.
//     New ones are opened. Those that are gone are closed, and their connections drained. A
//     socket that somebody has removed from the file system is opened anew.
//   - Sockets that were passed to the process stay, and must stay in use.
//   - The ids of requests and the totals of limits go on; totals that are
//     smaller now apply as soon as less is held. params_bytes and idle apply to new connections
//     over HTTP, to all others at once.
//
// What needs a restart is refused: a TCP address that overlaps with one in use, such as :9000
// after 127.0.0.1:9000, sockets that are passed anew, and what needs privileges that were given
// up, such as a port below 1024.
//
// The command "gatehouse reload" sends SIGHUP and waits for the result ([RequestReload]), so that
// systemctl reload does: ExecReload=/usr/bin/gatehouse reload --pid $MAINPID. The service manager
// is told of a reload, and why one failed (RELOADING, READY, STATUS), for Type=notify-reload.
//
// # Upgrade
//
// On SIGUSR2 the daemon starts a successor: the binary that lies by now at the path by which
// this process was started, with the same arguments, environment and current directory. It
// gets the listening sockets, and reads the configuration. Once it serves, this process stops
// accepting, drains and exits with status 0; what is queued on the sockets is the successor's.
// No request is lost. Programs that run belong to the process that started them, and end with
// its drain at the latest. The limits on programs and connections are for each of the two
// processes meanwhile. pid_file names the successor from then on, which has a session of its
// own.
//
// The successor takes over each socket for the address that it is configured for, with the
// mode, the owner and the group that it has there. It opens new addresses itself. Those that it
// does not have any more are closed by this process. Sockets that were passed to this process
// are passed on with their numbers and names.
//
// If the new binary is missing, cannot be executed, refuses the configuration, or does not
// serve within 60 s, the successor is ended, a line of the log says why, and this process
// serves on as before. SIGUSR2 tries again. There is one upgrade at a time, and SIGTERM ends it.
//
// Under systemd the new process is announced by MAINPID=, which the unit need not do anything
// for. A supervisor that watches its child alone, such as runit, s6 or a container's runtime,
// takes the exit of this process for that of the service: restart it instead. Process 1 of a
// container and a process that has given up its rights (slowcgi) refuse SIGUSR2.
package daemon
