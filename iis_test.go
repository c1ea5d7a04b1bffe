package gatehouse

import (
	"testing"

	"gatehouse/cgi"
	"gatehouse/iis"
)

// TestBehindIIS: the variables are mended in the way of IIS unless another web server is said to
// send them, and once.
func TestBehindIIS(t *testing.T) {
	app := cgi.FromHTTP(nil)
	for paths, want := range map[cgi.PathPolicy]iis.Mode{cgi.PathAuto: iis.Auto, cgi.PathIIS: iis.Strip, cgi.PathKeep: iis.Keep} {
		if h, ok := behindIIS(app, paths).(*iis.Handler); !ok || h.PathInfo != want || h.OriginalURL {
			t.Errorf("%v: %+v; want a handler with %v", paths, h, want)
		}
		own := &iis.Handler{App: app}
		if got := behindIIS(own, paths); got != cgi.App(own) {
			t.Errorf("%v: a handler in front of a handler", paths)
		}
	}
	for _, paths := range []cgi.PathPolicy{cgi.PathNginx, cgi.PathApache, cgi.PathRequest} {
		if _, ok := behindIIS(app, paths).(*iis.Handler); ok {
			t.Errorf("%v: variables of another web server are mended", paths)
		}
	}
}
