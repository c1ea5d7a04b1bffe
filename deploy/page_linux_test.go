package deploy_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"

	"gatehouse/internal/testkit"
)

// page is an answer of a web server.
type page struct {
	status int
	header http.Header
	body   string
}

// httpClient opens a connection for each request and leaves answers as they are.
func httpClient(t *testing.T) *http.Client {
	t.Helper()
	transport := &http.Transport{DisableKeepAlives: true, DisableCompression: true}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: patience}
}

// get sends a request and reads the whole answer.
func get(t *testing.T, request *http.Request) page {
	t.Helper()
	got, err := fetch(t, request)
	if err != nil {
		t.Fatalf("%s: %v after %d bytes", request.URL, err, len(got.body))
	}
	return got
}

// fetch sends a request and reads the answer as far as it comes. It may be called
// by any goroutine.
func fetch(t *testing.T, request *http.Request) (page, error) {
	t.Helper()
	response, err := httpClient(t).Do(request)
	if err != nil {
		return page{}, err
	}
	defer response.Body.Close()
	return readPage(response)
}

// fetchUnread is fetch for a request whose body the application does not read. A server that has
// its response may close the connection on who still sends, and then not every client gets to
// see it. So it tries again.
func fetchUnread(t *testing.T, request *http.Request) (got page, err error) {
	t.Helper()
	testkit.Poll(func() bool {
		if request.Body, err = request.GetBody(); err == nil {
			got, err = fetch(t, request)
		}
		return !errors.Is(err, syscall.EPIPE) && !errors.Is(err, syscall.ECONNRESET)
	})
	return got, err
}

// readPage reads an answer as far as it comes.
func readPage(response *http.Response) (page, error) {
	body, err := io.ReadAll(response.Body)
	return page{response.StatusCode, response.Header, string(body)}, err
}

// getURL gets a page of the web server at port 80.
func getURL(t *testing.T, path string) page {
	t.Helper()
	request, err := http.NewRequestWithContext(context.Background(), "GET", "http://localhost"+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	return get(t, request)
}

// wantPage checks that a page has a status, a type, and all of some texts.
func wantPage(t *testing.T, path string, contentType string, texts ...string) {
	t.Helper()
	got := getURL(t, path)
	if got.status != http.StatusOK {
		t.Errorf("%s: status %d; want 200\n%s", path, got.status, got.body)
		return
	}
	if ct := got.header.Get("Content-Type"); !strings.HasPrefix(ct, contentType) {
		t.Errorf("%s: Content-Type %q; want %s", path, ct, contentType)
	}
	for _, text := range texts {
		if !strings.Contains(got.body, text) {
			t.Errorf("%s: the page lacks %q\n%.2000s", path, text, got.body)
		}
	}
}
