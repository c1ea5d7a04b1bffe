package deploy_test

import (
	"net/http"
	"testing"
)

// TestApplication reads a page of a Go handler through each web server.
func TestApplication(t *testing.T) {
	startApplication(t)
	through(t, applicationFronts, func(t *testing.T, _ front) {
		// More often than nginx keeps connections, so that one is used again.
		for range 20 {
			got := getURL(t, "/")
			if got.status != http.StatusOK || got.body != "hello world\n" {
				t.Fatalf("status %d, body %q; want 200 and hello world", got.status, got.body)
			}
		}
		wantPage(t, "/demo/an%20item?colour=blue", "text/plain", "Hello world!", "colour=blue")
	})
}
