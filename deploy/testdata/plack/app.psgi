# The application of Plack's tests for servers, which a request chooses a test of by its
# X-Plack-Test.
use Plack::Middleware::Lint;
use Plack::Test::Suite;
Plack::Middleware::Lint->wrap(Plack::Test::Suite->test_app_handler);
