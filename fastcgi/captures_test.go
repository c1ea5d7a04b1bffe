package fastcgi

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"gatehouse/cgi"
	"gatehouse/cgi/cgitest"
	"gatehouse/fastcgi/record"
)

const capturesDir = "../cgi/testdata/captures"

// A seen request is what an application saw of one.
type seen struct {
	env       *cgi.Environ
	path      string
	length    int64
	body      []byte
	truncated bool
}

// observer is an application that keeps what it sees.
type observer struct {
	mu   sync.Mutex
	seen []seen
}

func (o *observer) ServeCGI(w cgi.ResponseWriter, r *cgi.Request) error {
	s := seen{env: r.Env.Clone(), path: r.FullPath(), length: r.ContentLength}
	var err error
	s.body, err = io.ReadAll(r.Body)
	s.truncated = errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, cgi.ErrAborted)
	o.mu.Lock()
	o.seen = append(o.seen, s)
	o.mu.Unlock()
	return hello(w, r)
}

// find returns what was seen of the request that the facts describe.
func (o *observer) find(want *cgitest.CaptureRequest) *seen {
	o.mu.Lock()
	defer o.mu.Unlock()
	for i := range o.seen {
		if want.CheckVariables(o.seen[i].env.Lookup) == nil {
			return &o.seen[i]
		}
	}
	if len(o.seen) > 0 {
		return &o.seen[0] // for the message
	}
	return nil
}

// TestCaptures feeds what real web servers sent to a real server.
func TestCaptures(t *testing.T) {
	captures, err := cgitest.LoadCaptures(os.DirFS(capturesDir))
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, capture := range captures {
		if capture.Protocol != "fastcgi" {
			continue
		}
		n++
		t.Run(strings.TrimSuffix(capture.File, ".bin"), func(t *testing.T) {
			data, err := os.ReadFile(filepath.Join(capturesDir, capture.File))
			if err != nil {
				t.Fatal(err)
			}
			o := new(observer)
			ts := serve(t, "unix", &Server{App: o})
			answers := replay(t, ts.dial(), data)
			ts.Close()
			for i := range capture.Requests {
				check(t, o, answers, &capture.Requests[i])
			}
			if len(capture.GetValues) > 0 != answers.values {
				t.Errorf("GET_VALUES was answered: %v", answers.values)
			}
		})
	}
	if n < 100 {
		t.Errorf("%d captures, there should be more than 100", n)
	}
}

func check(t *testing.T, o *observer, answers *replayed, want *cgitest.CaptureRequest) {
	t.Helper()
	if want.Status != 0 {
		if !strings.Contains(answers.stdout[want.ID], "Status: 400 ") {
			t.Errorf("request %d: got %q, want status %d", want.ID, answers.stdout[want.ID], want.Status)
		}
		return
	}
	if want.Names == 0 {
		return
	}
	// Some web servers send it; it never reaches an application.
	want.Vars = slices.DeleteFunc(want.Vars, func(v cgitest.CaptureVariable) bool { return v.Name == "HTTP_PROXY" })
	s := o.find(want)
	if s == nil {
		t.Fatalf("no application saw request %d", want.ID)
	}
	if err := want.CheckVariables(s.env.Lookup); err != nil {
		t.Errorf("request %d: %v", want.ID, err)
	}
	if _, ok := s.env.Lookup("HTTP_PROXY"); ok {
		t.Errorf("request %d: HTTP_PROXY reached the application", want.ID)
	}
	if s.path != want.FullPath {
		t.Errorf("request %d: path is %q, want %q", want.ID, s.path, want.FullPath)
	}
	// A body that had come as a whole may have a length that no variable states.
	if s.length != want.Length && !(want.Length < 0 && s.length == int64(len(s.body))) {
		t.Errorf("request %d: length is %d, want %d", want.ID, s.length, want.Length)
	}
	if s.truncated != want.Truncated {
		t.Errorf("request %d: truncated is %v, want %v", want.ID, s.truncated, want.Truncated)
	}
	if err := want.CheckBody(s.body); err != nil {
		t.Errorf("request %d: %v", want.ID, err)
	}
}

// replayed is what came back.
type replayed struct {
	mu     sync.Mutex
	cond   *sync.Cond
	stdout map[uint16]string
	active map[uint16]bool
	values bool
	err    error
}

// replay sends captured records, a BEGIN_REQUEST only when its id is free, as the
// web server did, and then closes its side.
func replay(t *testing.T, c *client, data []byte) *replayed {
	got := &replayed{stdout: make(map[uint16]string), active: make(map[uint16]bool)}
	got.cond = sync.NewCond(&got.mu)
	done := make(chan struct{})
	go func() { defer close(done); got.read(c) }()
	for len(data) > 0 {
		h := record.Header(data)
		size := record.HeaderLen + h.ContentLength() + h.PaddingLength()
		got.mu.Lock()
		if h.Type() == record.BeginRequest {
			for got.active[h.ID()] && got.err == nil {
				got.cond.Wait()
			}
			got.active[h.ID()] = true
		}
		got.mu.Unlock()
		if _, err := c.Write(data[:size]); err != nil {
			break // the web server closed early too
		}
		data = data[size:]
	}
	c.Conn.(interface{ CloseWrite() error }).CloseWrite()
	<-done
	return got
}

func (g *replayed) read(c *client) {
	for {
		typ, id, content, err := c.next()
		g.mu.Lock()
		switch {
		case err != nil:
			g.err = err
		case typ == record.GetValuesResult:
			g.values = true
		case typ == record.Stdout:
			g.stdout[id] += string(content)
		case typ == record.EndRequest:
			g.active[id] = false
		}
		g.cond.Broadcast()
		g.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// TestForeignCaptures: what web servers say in other protocols ends the connection
// with one log line that says so.
func TestForeignCaptures(t *testing.T) {
	captures, err := cgitest.LoadCaptures(os.DirFS(capturesDir))
	if err != nil {
		t.Fatal(err)
	}
	for _, capture := range captures {
		if capture.Protocol == "fastcgi" {
			continue
		}
		data, err := os.ReadFile(filepath.Join(capturesDir, capture.File))
		if err != nil {
			t.Fatal(err)
		}
		ts := serve(t, "unix", &Server{App: hello})
		c := ts.dial()
		c.Write(data)
		c.closed()
		ts.Close()
		if n := strings.Count(ts.logs.String(), "\n"); n != 1 || !strings.Contains(ts.logs.String(), " came to a FastCGI listener") {
			t.Errorf("%s: log is %q, want one line", capture.File, ts.logs)
		}
	}
}
