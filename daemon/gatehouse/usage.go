package main

const usage = `gatehouse stands between a web server and CGI-family applications.

    gatehouse serve   [--fastcgi ADDR]... [--scgi ADDR]... [--http ADDR]...
                      [--app [PREFIX=]KIND[:TARGET]]... [--allow CIDR]...
                      [--allow-users USER]... [--multiplex=false]
                      [--config FILE] [--access-log off|stderr|FILE] [--validate]
    gatehouse check   [--config FILE]    say what is wrong with a configuration
    gatehouse explain [serve's flags] URL
                      what would be done with a request, and what is wrong
    gatehouse conform --fastcgi ADDR     test any FastCGI application, clause by clause
    gatehouse version
    gatehouse help    [config|limits]    the keys of a configuration
    gatehouse help    explain|conform    more about those commands

ADDR is one of
    unix:PATH[,mode=0660][,owner=USER][,group=GROUP]
    HOST:PORT, :PORT
    fd:N              a listening socket that was passed as descriptor N
    systemd:NAME      those that systemd passed (FileDescriptorName=NAME)
KIND is one of
    demo              shows the variables that the web server sent
    hello             answers "hello world"
    scripts:DIR       the CGI programs in a directory; give it again for more
    files:DIR         the files of a directory
Without --app, /=demo is served.

Without an address, gatehouse serves what it was started with: a listening socket
on descriptor 0 (FastCGI), sockets that systemd passed, one request as a CGI
program, or a connection on descriptor 0 (SCGI). Otherwise it opens HTTP on
127.0.0.1:8080, FastCGI on 127.0.0.1:9000 and SCGI on 127.0.0.1:4000.

serve reads a configuration only if --config names one; check without it reads
/etc/gatehouse/gatehouse.toml, and tells what the user who runs it could not serve.

FastCGI and SCGI on an address that other machines reach need --allow. On unix
sockets --allow-users refuses the processes of all other users. To descriptor 0
applies FCGI_WEB_SERVER_ADDRS of the environment. A flag replaces the key of the
same name in the configuration; --app adds to it.

--validate checks every request and every answer against the rules of package
validate, for development: what breaks one is answered by an error page, and the
log names it.

SIGTERM and SIGINT end it after the requests in flight; a second one at once.
The exit status is 2 for what fails before the first request, 1 afterwards.

Started by the name fcgiwrap or slowcgi, it takes the flags of that program, and its
place; say -h there.

Example:
    $ gatehouse serve --fastcgi unix:/run/gatehouse/fastcgi.sock,group=www-data \
                      --app /cgi-bin=scripts:/usr/lib/cgi-bin
`
