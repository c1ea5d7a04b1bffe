package python

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"gatehouse/cgi"
	"gatehouse/cgi/cgitest"
	"gatehouse/cgi/spool"
	"gatehouse/internal/testkit"
)

// meeting sends large responses and counts bodies. It has a path where two workers wait for each
// other.
const meeting = `
def app(environ, start_response):
    start_response('200 OK', [('Content-Type', 'text/plain')])
    path = environ['PATH_INFO']
    if path == '/download':
        return [b'%15d\n' % i * 1000 for i in range(4)]
    if path == '/upload':
        return [b'%d' % len(environ['wsgi.input'].read())]
    note(path, os.getpid())
    while open('notes').read().count(path + ' ') < 2:
        time.sleep(0.001)
    return [b'met']
`

// A slowClient takes nothing of its response until it is let.
type slowClient struct {
	cgitest.Recorder
	log  testkit.Log
	let  chan struct{}
	done chan struct{}
}

func (c *slowClient) Write(p []byte) (int, error) {
	<-c.let
	return c.Recorder.Write(p)
}

// serveSlowly runs an App for a client.
func serveSlowly(a cgi.App, body io.Reader, length int, vars ...string) *slowClient {
	c := &slowClient{let: make(chan struct{}), done: make(chan struct{})}
	r := cgitest.NewRequest(cgi.NewEnviron(append(vars, "SERVER_NAME=localhost", "SERVER_PORT=80")...))
	if body != nil {
		r.Body, r.ContentLength = body, int64(length)
		r.Env.Set("CONTENT_LENGTH", fmt.Sprint(length))
	}
	go func() {
		defer close(c.done)
		(&cgi.Handler{Log: c.log.Logger()}).Run(r, c, a)
	}()
	return c
}

// TestSlowClients: two workers serve a thousand clients, of which half take nothing of their
// responses and half send their bodies slowly. Meanwhile both are free at the same time, and in the
// end each client has what it should.
func TestSlowClients(t *testing.T) {
	const clients, length = 1000, 100_000
	total := spool.NewBudget(0)
	s := supervise(t, Limits{Programs: 2, Minimum: 2, Queue: clients, QueueWait: -1, Spool: spool.Limits{Memory: 200_000, Total: total, Dir: t.TempDir()}}, meeting)
	var all []*slowClient
	var uploads []*io.PipeWriter
	half := make(chan error, clients/2) // of a body has been taken
	for i := range clients {
		if i%2 == 0 {
			all = append(all, serveSlowly(s, nil, 0, "REQUEST_METHOD=GET", "PATH_INFO=/download"))
			continue
		}
		body, w := io.Pipe()
		uploads = append(uploads, w)
		all = append(all, serveSlowly(s, body, length, "REQUEST_METHOD=POST", "PATH_INFO=/upload"))
		go func() {
			w.Write(make([]byte, length/2))
			_, err := w.Write(make([]byte, 1)) // for which nothing has room before the half was taken
			half <- err
		}()
	}
	meet := func(path string) {
		t.Helper()
		both := make(chan *cgitest.Recorder, 2)
		for range 2 {
			go func() { both <- fetch(s, "PATH_INFO="+path) }()
		}
		for range 2 {
			got := testkit.Receive(t, "the response of two workers that meet", both)
			if !whole(got) || got.Body.String() != "met" {
				t.Errorf("%s: status %d, %q, %v", path, got.Head.Code, got.Body.String(), got.Outcome)
			}
		}
	}
	meet("/before")
	for range uploads {
		if err := testkit.Receive(t, "half of a body is taken", half); err != nil {
			t.Fatal(err)
		}
	}
	meet("/while")
	for _, c := range all {
		select {
		case <-c.done:
			t.Fatalf("a slow client has its response: status %d, %v\n%s", c.Head.Code, c.Outcome, &c.log)
		default:
		}
	}
	for _, w := range uploads {
		w.Write(make([]byte, length/2-1))
		w.Close()
	}
	want := ""
	for i := range 4 {
		want += strings.Repeat(fmt.Sprintf("%15d\n", i), 1000)
	}
	for i, c := range all {
		close(c.let)
		testkit.Receive(t, "the end of a response", c.done)
		body := c.Body.String()
		if c.Head.Code != 200 || c.Outcome.End != cgi.Complete || i%2 == 0 && body != want || i%2 == 1 && body != fmt.Sprint(length) {
			t.Fatalf("slow client %d: status %d, %d bytes, %v\n%s", i, c.Head.Code, len(body), c.Outcome, &c.log)
		}
	}
	testkit.Until(t, "no spools are left", func() bool {
		files, _, _ := total.Files()
		return total.Used() == 0 && files == 0
	})
	if notes := s.notes(); len(notes) != 4 || len(slices.Compact(slices.Sorted(slices.Values(notes)))) != 4 {
		t.Errorf("two workers have met twice: %q", notes)
	}
}
