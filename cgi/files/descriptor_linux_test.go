package files

import (
	"runtime/debug"
	"testing"

	"gatehouse/internal/testkit"
)

// No request leaves a descriptor behind, however it ends.
func TestDescriptors(t *testing.T) {
	app := newTree(t, "a.html", "hello", "sub/index.html", "sub", "empty/", "", "page/index.html/", "")
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // it would close what is lost
	requests := func() {
		for _, path := range []string{"/a.html", "/a.html/", "/sub/", "/sub", "/empty/", "/page/", "/none", "/.."} {
			get(app, path)
			get(app, path, "REQUEST_METHOD=HEAD")
			get(app, path, "HTTP_IF_NONE_MATCH=*")
			get(app, path, "HTTP_RANGE=bytes=0-1,3-3")
			get(app, path, "HTTP_RANGE=bytes=9-")
		}
		if err := app.Check(); err != nil {
			t.Error(err)
		}
	}
	requests() // the runtime opens some of its own
	before := testkit.Descriptors(t)
	requests()
	if after := testkit.Descriptors(t); after != before {
		t.Errorf("%d descriptors are open, %d were", after, before)
	}
}
