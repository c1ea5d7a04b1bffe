package deploy_test

import (
	"bufio"
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// TestEvents: the events of a shell script (server-sent events) arrive one by one, each
// while the script waits for the test to have read it.
func TestEvents(t *testing.T) {
	installProgram(t, "events")
	startGateway(t)
	through(t, streamingFronts, func(t *testing.T, _ front) { wantEvents(t, "/cgi-bin/events", 20) })
}

// wantEvents reads so many events of that script, at the path.
func wantEvents(t *testing.T, path string, n int) {
	t.Helper()
	proceed := fifo(t, "/srv/test/proceed")
	say := func(i int) {
		if _, err := fmt.Fprintln(proceed, i); err != nil {
			t.Fatal(err)
		}
	}
	request, err := http.NewRequest("GET", "http://localhost"+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Accept", "text/event-stream")
	say(0) // Apache has the head wait for it
	response, err := httpClient(t).Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if ct := response.Header.Get("Content-Type"); !strings.HasPrefix(ct, "text/event-stream") {
		t.Errorf("Content-Type %q", ct)
	}
	body := bufio.NewReader(response.Body)
	for i := range n {
		if i > 0 {
			say(i)
		}
		for _, want := range []string{fmt.Sprintf("data: %d\n", i), "\n"} {
			if line, err := body.ReadString('\n'); line != want {
				t.Fatalf("read %q, %v; want %q", line, err, want)
			}
		}
	}
}
