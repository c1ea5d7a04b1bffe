#!/usr/bin/perl
# The same application as a CGI program.
use Plack::Handler::CGI;
Plack::Handler::CGI->new->run(do '/srv/plack/app.psgi');
