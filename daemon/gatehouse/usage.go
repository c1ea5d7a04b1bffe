package main

const usage = `gatehouse connects a web server to CGI-family applications.

    gatehouse serve   [--fastcgi ADDR]... [--scgi ADDR]... [--http ADDR]...
                      [--app [PREFIX=]KIND[:TARGET]]... [--allow CIDR]...
                      [--allow-users USER]... [--multiplex=false]
                      [--config FILE] [--access-log off|stderr|FILE] [--validate]
    gatehouse check   [--config FILE] [--front-user USER]
                      find mistakes in a configuration, and what keeps the web
                      server's user from connecting to its unix sockets
    gatehouse explain [serve's flags] URL
                      show how a request would be served, and what prevents it
    gatehouse conform --fastcgi ADDR     test any FastCGI application, clause by clause
    gatehouse completion bash|zsh|fish   print a script for that shell
    gatehouse version
    gatehouse help    [config|limits]    the keys of the configuration file
    gatehouse help    explain|conform    more about these commands

ADDR is one of
    unix:PATH[,mode=0660][,owner=USER][,group=GROUP]
    HOST:PORT, :PORT
    fd:N              a listening socket passed as descriptor N
    systemd:NAME      the sockets passed by systemd (FileDescriptorName=NAME)
KIND is one of
    demo              a page of the variables that the web server sent
    hello             the text "hello world"
    scripts:DIR       the CGI programs in a directory; repeat it for more
    files:DIR         the files in a directory
Without --app, gatehouse serves /=demo.

Without an address, gatehouse serves what it was started with: a listening socket
on descriptor 0 (FastCGI), sockets passed by systemd, one request as a CGI program,
or a connection on descriptor 0 (SCGI). Otherwise it opens HTTP on 127.0.0.1:8080,
FastCGI on 127.0.0.1:9000 and SCGI on 127.0.0.1:4000.

serve reads a configuration file only with --config. Without --config, check reads
/etc/gatehouse/gatehouse.toml; it reports what the user who runs it cannot serve.

FastCGI and SCGI on an address that other machines can reach need --allow. On unix
sockets, --allow-users refuses the processes of all other users. The environment
variable FCGI_WEB_SERVER_ADDRS applies to descriptor 0. A flag replaces the key of
the same name in the configuration file; --app adds to it.

--validate checks every request and response against the rules of package validate,
for development. A violation gets an error page, and the log names the rule.

SIGTERM and SIGINT stop gatehouse after the requests in flight; a second one stops it
at once. The exit status is 2 if it fails before the first request, 1 afterwards.

Run as fcgiwrap or slowcgi, gatehouse replaces that program and takes its flags
(fcgiwrap -h lists them).

Example:
    $ gatehouse serve --fastcgi unix:/run/gatehouse/fastcgi.sock,group=www-data \
                      --app /cgi-bin=scripts:/usr/lib/cgi-bin
`
