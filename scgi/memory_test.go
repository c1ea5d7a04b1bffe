package scgi

import (
	"io"
	"strings"
	"testing"
	"time"

	"gatehouse/cgi"
	"gatehouse/cgi/spool"
	"gatehouse/internal/testkit"
)

// TestParamsTotal: connections that hoard heads hold no more than the total, and usual
// requests are served beside them.
func TestParamsTotal(t *testing.T) {
	each(t, func(t *testing.T, network string) {
		app := cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error { return text(w, "hello") })
		total := spool.NewBudget(1 << 20)
		s := serve(t, network, &Server{App: app, Limits: cgi.Limits{ParamsTotal: total}})
		large := request("", "A="+strings.Repeat("x", 1000<<10))
		hoarder := s.dial(t).send(large[:500<<10])
		testkit.Until(t, "hoarding", func() bool { return total.Used() >= 384<<10 })
		second := s.dial(t)
		go second.Write(large)
		if a := second.answer(); !strings.HasPrefix(a, "Status: 503 ") || !strings.Contains(a, "Retry-After:") {
			t.Errorf("beyond the total: got %q", a)
		}
		wantBody(t, s.dial(t).send(request("", "A="+strings.Repeat("x", 30<<10))).answer(), "hello")
		hoarder.Close()
		testkit.Until(t, "giving back the memory", func() bool { return total.Used() == 0 })
		wantBody(t, s.dial(t).send(large).answer(), "hello")
		s.Shutdown(t.Context())
		if n := strings.Count(s.log.String(), "params_total"); n != 1 {
			t.Errorf("%d log lines name the key, want 1: %s", n, &s.log)
		}
	})
}

// TestScarceMemory: once most of the total is taken, heads that are part of it have a second to
// arrive.
func TestScarceMemory(t *testing.T) {
	s := serve(t, "unix", &Server{App: refuseToRun(t), Limits: cgi.Limits{ParamsTotal: spool.NewBudget(512 << 10), Idle: time.Hour}})
	large := request("", "A="+strings.Repeat("x", 500<<10))
	usual := s.dial(t).send(head("A=" + strings.Repeat("x", 30<<10))[:20<<10])
	if got, _ := io.ReadAll(s.dial(t).send(large[:500<<10])); len(got) > 0 {
		t.Errorf("the hoarder got %q", got)
	}
	usual.Close()
	s.Shutdown(t.Context())
	if n := strings.Count(s.log.String(), "(params_total)"); n != 1 {
		t.Errorf("%d log lines name the key, want 1: %s", n, &s.log)
	}
}
