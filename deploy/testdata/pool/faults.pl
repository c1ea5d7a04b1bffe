# A FastCGI program that does what its path says.
use FCGI;
use POSIX ();
my $request = FCGI::Request();
while ($request->Accept() >= 0) {
	my $do = $ENV{PATH_INFO};
	kill 'KILL', $$ if $do eq '/dies';
	$SIG{TERM} = 'IGNORE' if $do eq '/ignores-term';
	if ($do eq '/hangs' || $do eq '/ignores-term') { sleep 1 while 1 }
	if ($do eq '/leaks') { push @kept, 'x' x 100_000_000 while 1 }
	if ($do eq '/session') { fork or do { POSIX::setsid(); sleep 1 while 1 }; sleep 1 while 1 }
	if ($do eq '/bomb') { defined fork or select undef, undef, undef, 0.01 while 1 }
	print "Content-Type: text/plain\r\n\r\nok";
}
