# Plack's tests for servers, against one that listens on a port already. The second argument is
# where the application is mounted.
use strict;
use warnings;
use Plack::Test::Suite;
use Test::More;

my $port = shift;
$ENV{PLACK_TEST_SCRIPT_NAME} = shift; # the module has set it to nothing
Plack::Test::Suite->run_server_tests(sub { sleep }, $port, $port);
done_testing;
