package main

const usage = `gatehouse connects a web server to CGI-family applications.

    gatehouse serve   [--fastcgi ADDR]... [--scgi ADDR]... [--http ADDR]...
                      [--app [PREFIX=]KIND[:TARGET]]... [--allow CIDR]...
                      [--allow-users USER]... [--trusted-proxies CIDR|unix]...
                      [--multiplex=false]
                      [--admin ADDR]... [--metrics ADDR]... [--admin-allow CIDR]...
                      [--config FILE] [--access-log off|stderr|syslog|FILE]
                      [--validate] [--reload-on-change]
                      [--idle-exit DURATION] [--ready-fd N]
    gatehouse check   [--config FILE] [--front-user USER]
                      find mistakes in a configuration, and what keeps the web
                      server's user from connecting to its unix sockets
    gatehouse reload  --pid N | --pid-file FILE
                      have a running gatehouse reload its configuration, wait until
                      it serves it, or print what is wrong with it (exit status 1)
    gatehouse status | top | abort ID... [--admin ADDR]
                      show what a running gatehouse does, once or live, or end
                      requests in flight
    gatehouse explain [serve's flags] URL
                      show how a request would be served, and what prevents it
    gatehouse request (--fastcgi|--scgi|--http) ADDR URL
                      make a request as a web server does, or many
    gatehouse request --iis PROGRAM URL
                      start a program as IIS does, and make a request (Windows)
    gatehouse cgi     --fastcgi ADDR | --scgi ADDR
                      be a CGI program that passes its request on
    gatehouse conform --fastcgi ADDR     test any FastCGI application, clause by clause
    gatehouse snippet iis|nginx|...      print a piece of a web server's configuration
    gatehouse service install|uninstall|run
                      be a Windows service
    gatehouse drain   [--pid N | --pid-file FILE]
                      drain a gatehouse, process 1 by default, and wait for its end
    gatehouse completion bash|zsh|fish   print a script for that shell
    gatehouse version
    gatehouse help    [config|limits]    the keys of the configuration file
    gatehouse help    status|top|abort|explain|request|cgi|conform|service|snippet
                                         more about these commands

ADDR is one of
    unix:PATH[,mode=0660][,owner=USER][,group=GROUP]
    HOST:PORT, :PORT
    fd:N              a listening socket passed as descriptor N
    systemd:NAME      the sockets passed by systemd (FileDescriptorName=NAME)
    npipe:NAME[,sddl=SDDL]    a named pipe, on Windows; SDDL says who may connect
KIND is one of
    demo              a page of the variables that the web server sent
    hello             the text "hello world"
    scripts:DIR       the CGI programs in a directory; repeat it for more
    files:DIR         the files in a directory
    fastcgi:ADDR      a FastCGI application that listens there, such as php-fpm
    fastcgi-exec:CMD  a FastCGI program, such as php-cgi, whose processes are kept
    scgi:ADDR         an SCGI application that listens there, such as fossil
    wsgi:MODULE:ATTR  a WSGI application in Python, in the current directory
Without --app, gatehouse serves /=demo.

Without an address, gatehouse serves what it was started with: a listening socket
on descriptor 0 (FastCGI), sockets passed by systemd, one request as a CGI program,
a connection on descriptor 0 (SCGI), or a named pipe from IIS (FastCGI). Otherwise it
opens HTTP on 127.0.0.1:8080, FastCGI on 127.0.0.1:9000 and SCGI on 127.0.0.1:4000.
Started by IIS's ASP.NET Core Module or HttpPlatformHandler, it serves HTTP on the port
that the module has chosen, besides any address.

serve reads a configuration file only with --config. Without --config, check reads
/etc/gatehouse/gatehouse.toml; it reports what the user who runs it cannot serve.

FastCGI and SCGI on an address that other machines can reach need --allow. On unix
sockets, --allow-users refuses the processes of all other users. The environment
variable FCGI_WEB_SERVER_ADDRS applies to descriptor 0. Behind a reverse proxy that
speaks HTTP, --trusted-proxies names the proxy, so that X-Forwarded-For,
X-Forwarded-Proto and Forwarded say who the client is; they count from nobody else. A
flag replaces the key of the same name in the configuration file; --app adds to it.

With --admin, gatehouse shows what it does: to gatehouse status, top and abort, and to
browsers and Prometheus. A unix socket has the mode 0600. Over TCP it only reads, unless
there is an admin_token_file; addresses that other machines can reach need --admin-allow.
--metrics is an address for Prometheus and probes alone: /metrics, /healthz, /readyz.

--validate checks every request and response against the rules of package validate,
for development. A violation gets an error page, and the log names the rule. Around
WSGI applications it puts Python's own validator, too. With --reload-on-change, a changed
.py file in the folder of one reloads the configuration as SIGHUP does.

Under systemd (Type=notify), gatehouse says when it is ready, how busy it is and that it
stops, and serves WatchdogSec=. With --ready-fd, it writes a line feed to descriptor N
when it is ready, for s6 (notification-fd). With --idle-exit 5m, it ends when no request
has come for five minutes; all its sockets must be passed by systemd, which starts it
again when somebody connects.

SIGHUP reloads the configuration: gatehouse reads the file of --config and the flags
again, and goes on with them without losing a request or closing a kept connection.
If anything is wrong, the log says what, and the old configuration stays. "gatehouse
reload" waits for the result: in a systemd unit, ExecReload=gatehouse reload --pid $MAINPID.

SIGTERM, SIGINT and SIGQUIT stop gatehouse after the requests in flight; a second one
stops it at once. SIGUSR1 opens the access log anew. SIGUSR2 starts the binary again,
with the same arguments, which takes over the sockets without losing a request; if it
does not serve, this process serves on. The exit status is 2 if it fails before the
first request, 1 afterwards.

Run as fcgiwrap or slowcgi, gatehouse replaces that program and takes its flags
(fcgiwrap -h lists them).

Examples:
    $ gatehouse serve --http :8000 --app wsgi:app:app --reload-on-change
    $ gatehouse serve --fastcgi unix:/run/gatehouse/fastcgi.sock,group=www-data \
                      --app /cgi-bin=scripts:/usr/lib/cgi-bin
`
