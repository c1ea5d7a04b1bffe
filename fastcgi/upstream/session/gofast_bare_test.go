package session

import (
	"bytes"
	"context"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/yookoala/gofast"

	"gatehouse/fastcgi/upstream"
	"gatehouse/internal/testkit"
)

// The tests in this file show a defect of the clients of gofast, each first with one of
// those and then with a Handler.

// A bareResult is what a client of gofast makes of a request.
type bareResult struct {
	*httptest.ResponseRecorder
	stderr bytes.Buffer
	err    error
	done   chan struct{} // closed when the response has been written
}

// bare makes a request with a client of gofast, which is closed when the test ends.
func bare(t *testing.T, l net.Listener, ctx context.Context, req *gofast.Request) *bareResult {
	t.Helper()
	c, err := gofast.SimpleClientFactory(gofast.SimpleConnFactory(l.Addr().Network(), l.Addr().String()))()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return bareOn(c, ctx, req)
}

func bareOn(c gofast.Client, ctx context.Context, req *gofast.Request) *bareResult {
	r := &bareResult{ResponseRecorder: httptest.NewRecorder(), done: make(chan struct{})}
	req.Raw = new(http.Request).WithContext(ctx)
	if req.Params == nil {
		req.Params = map[string]string{}
	}
	if req.Role == 0 {
		req.Role = gofast.RoleResponder
	}
	pipe, err := c.Do(req)
	if err != nil {
		r.err = err
		close(r.done)
		return r
	}
	go func() {
		defer close(r.done)
		r.err = pipe.WriteTo(r, &r.stderr)
	}()
	return r
}

// wantHang fails the test if what is done ends: it hangs for ever, so the time is of no
// account. Then leave ends it.
func wantHang(t *testing.T, done <-chan struct{}, leave func()) {
	t.Helper()
	select {
	case <-done:
		t.Error("gofast does not hang any more: this defect is gone")
	case <-time.After(50 * time.Millisecond):
	}
	leave()
	testkit.Receive(t, "gofast's end", done)
}

// A site is a Handler behind net/http.
type site struct {
	*httptest.Server
	log testkit.Log
	app *upstream.App
}

func newSite(t *testing.T, l upstream.Limits, h gofast.SessionHandler, listener net.Listener) *site {
	t.Helper()
	s := new(site)
	s.app = newApp(t, l, listener)
	s.app.Log = s.log.Logger()
	if h == nil {
		h = gofast.Chain(gofast.BasicParamsMap, gofast.MapHeader)(gofast.BasicSession)
	}
	s.Server = httptest.NewUnstartedServer(&Handler{App: s.app, Session: h})
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.Start()
	t.Cleanup(s.Close)
	return s
}

// get makes a request, and reads the response as far as it comes.
func (s *site) get(t *testing.T, method string, body io.Reader) (*http.Response, string, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, s.URL+"/", body)
	if err != nil {
		t.Fatal(err)
	}
	return s.do(t, req)
}

func (s *site) do(t *testing.T, req *http.Request) (*http.Response, string, error) {
	t.Helper()
	resp, err := s.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	return resp, string(got), err
}

// inChild runs f in a process of its own, which may crash, and returns what it printed.
func inChild(t *testing.T, f func(t *testing.T)) string {
	t.Helper()
	const inside = "GATEHOUSE_TEST_CHILD"
	if os.Getenv(inside) == t.Name() {
		f(t)
		os.Exit(0)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, "-test.run=^"+t.Name()+"$", "-test.timeout="+testkit.Patience.String())
	cmd.Env = append(os.Environ(), inside+"="+t.Name())
	out, _ := cmd.CombinedOutput()
	return string(out)
}
