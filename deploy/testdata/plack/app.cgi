#!/usr/bin/perl
# The same application as a CGI program. What only the client of the tests needs is most of a
# start, so it is not loaded.
BEGIN {
	$INC{"$_.pm"} = 1 for qw(HTTP/Request HTTP/Request/Common Plack/Loader Plack/LWPish Test/More Test/TCP);
	my $none = sub {
		my $caller = caller;
		*{"${caller}::$_"} = sub { } for qw(GET POST is like note ok skip);
	};
	*{"${_}::import"} = $none for qw(HTTP::Request::Common Test::More);
}
use Plack::Handler::CGI;
Plack::Handler::CGI->new->run(do '/srv/plack/app.psgi');
