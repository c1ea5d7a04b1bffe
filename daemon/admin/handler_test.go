package admin

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"gatehouse/internal/testkit"
)

// ask sends a request over a unix socket, if local, or over TCP.
func ask(h http.Handler, local bool, method, target, body string, fields ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	r.Host = "127.0.0.1:9100"
	var a net.Addr = &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 9100}
	if local {
		a, r.Host = &net.UnixAddr{Name: "/run/admin.sock", Net: "unix"}, "gatehouse"
	}
	r = r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, a))
	if body != "" {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for i := 0; i < len(fields); i += 2 {
		if fields[i] == "Host" {
			r.Host = fields[i+1]
			continue
		}
		r.Header.Set(fields[i], fields[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// TestHost: a name that anybody could point at this machine is refused over TCP.
func TestHost(t *testing.T) {
	h := &Handler{Source: newGateway()}
	h.SetAccess(Access{Hosts: []string{"ops.example"}})
	for host, want := range map[string]int{
		"127.0.0.1:9100": 200, "localhost:9100": 200, "LOCALHOST": 200, "localhost.": 200, "[::1]:9100": 200, "[::1]": 200, "192.0.2.1": 200,
		"ops.example:9100": 200, "OPS.example": 200,
		"evil.example": 421, "localhost.evil.example:9100": 421, "127.0.0.1.evil.example": 421, "": 421,
	} {
		for _, target := range []string{"/", "/metrics", "/healthz"} {
			if got := ask(h, false, "GET", target, "", "Host", host).Code; got != want {
				t.Errorf("%s with Host %q: %d, want %d", target, host, got, want)
			}
		}
		if got := ask(h, true, "GET", "/healthz", "", "Host", host).Code; got != 200 {
			t.Errorf("over a unix socket with Host %q: %d", host, got)
		}
	}
	// A load balancer's check has none.
	for proto, want := range map[string]int{"HTTP/1.0": 200, "HTTP/1.1": 421} {
		r := httptest.NewRequest("GET", "/healthz", nil)
		r.Host, r.Proto, r.ProtoMinor = "", proto, int(proto[7]-'0')
		w := httptest.NewRecorder()
		if h.ServeHTTP(w, r); w.Code != want {
			t.Errorf("%s without a Host: %d, want %d", proto, w.Code, want)
		}
	}
}

// TestAbstractSocket: everybody may connect to a socket that has no mode, so it only reads.
func TestAbstractSocket(t *testing.T) {
	g := newGateway()
	h := &Handler{Source: g}
	r := httptest.NewRequest("POST", "/abort", strings.NewReader("id=12"))
	r.Host = "localhost"
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r = r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, &net.UnixAddr{Name: "@admin", Net: "unix"}))
	w := httptest.NewRecorder()
	if h.ServeHTTP(w, r); w.Code != 403 || len(g.InFlight()) == 0 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

// TestAbort: who may abort a request.
func TestAbort(t *testing.T) {
	bearer := "Bearer secret"
	for _, tt := range []struct {
		name        string
		local       bool
		token, body string
		fields      []string
		want        int
		aborted     bool
	}{
		{name: "unix socket", local: true, body: "id=12", want: 200, aborted: true},
		{name: "page", local: true, body: "id=12&back=1", want: 303, aborted: true},
		{name: "over", local: true, body: "id=13", want: 404},
		{name: "no id", local: true, body: "id=", want: 400},
		{name: "what is no id", local: true, body: "id=%3Cx%3E", want: 400},
		{name: "id of the log", local: true, body: "id=k7rm3qxp-12", want: 200, aborted: true},
		{name: "another id of the log", local: true, body: "id=k7rm3qxp-13", want: 404},
		{name: "another site", local: true, body: "id=12", fields: []string{"Sec-Fetch-Site", "cross-site"}, want: 403},
		{name: "TCP", body: "id=12", want: 403},
		{name: "TCP, no token set, an empty one sent", body: "id=12&token=", fields: []string{"Authorization", "Bearer "}, want: 403},
		{name: "TCP, token", token: "secret", body: "id=12&token=secret", want: 200, aborted: true},
		{name: "TCP, bearer", token: "secret", body: "id=12", fields: []string{"Authorization", bearer}, want: 200, aborted: true},
		{name: "TCP, wrong token", token: "secret", body: "id=12&token=secre", want: 401},
		{name: "TCP, no token", token: "secret", body: "id=12", want: 401},
		{name: "TCP, wrong name", token: "secret", body: "id=12&token=secret", fields: []string{"Host", "evil.example"}, want: 421},
	} {
		g := newGateway()
		h := &Handler{Source: g}
		h.SetAccess(Access{Token: tt.token})
		got := ask(h, tt.local, "POST", "/abort", tt.body, tt.fields...)
		if aborted := len(g.InFlight()) == 0; got.Code != tt.want || aborted != tt.aborted {
			t.Errorf("%s: %d %q, aborted: %v; want %d", tt.name, got.Code, got.Body, aborted, tt.want)
		}
	}
	g := newGateway()
	if got := ask(&Handler{Source: g}, true, "GET", "/abort?id=12", ""); got.Code != 405 || len(g.InFlight()) == 0 {
		t.Errorf("GET: %d", got.Code)
	}
}

// TestMetricsOnly: a listener for metrics has nothing else.
func TestMetricsOnly(t *testing.T) {
	h := &Handler{Source: newGateway()}
	for target, want := range map[string]int{"/metrics": 200, "/healthz": 200, "/readyz": 200, "/": 404, "/status.json": 404, "/events": 404, "/page.js": 404} {
		if got := ask(h.Metrics(), true, "GET", target, ""); got.Code != want {
			t.Errorf("%s: %d, want %d", target, got.Code, want)
		}
	}
	if got := ask(h.Metrics(), true, "POST", "/abort", "id=12"); got.Code != 404 {
		t.Errorf("abort: %d", got.Code)
	}
}

func TestReady(t *testing.T) {
	g := newGateway()
	g.stats.Ready = false
	h := &Handler{Source: g}
	if got := ask(h, true, "GET", "/readyz", ""); got.Code != 503 {
		t.Errorf("readyz: %d", got.Code)
	}
	if got := ask(h, true, "GET", "/healthz", ""); got.Code != 200 {
		t.Errorf("healthz: %d", got.Code)
	}
}

// TestTooMany: clients beyond those whose answers are made are refused at once, and counted;
// whether the gateway is alive and ready can always be asked.
func TestTooMany(t *testing.T) {
	g := newGateway()
	g.hold, g.entered = make(chan struct{}), make(chan struct{})
	h := &Handler{Source: g}
	codes := make(chan int)
	for range maxAnswers {
		go func() { codes <- ask(h, true, "GET", "/metrics", "").Code }()
	}
	for range maxAnswers {
		testkit.Receive(t, "a client is answered", g.entered)
	}
	if got := ask(h, true, "GET", "/metrics", ""); got.Code != 503 || got.Header().Get("Retry-After") == "" || h.Refused() != 1 {
		t.Errorf("%d, refused %d", got.Code, h.Refused())
	}
	for _, target := range []string{"/healthz", "/readyz"} {
		if got := ask(h, true, "GET", target, ""); got.Code != 200 {
			t.Errorf("%s: %d", target, got.Code)
		}
	}
	close(g.hold)
	for range maxAnswers {
		if code := testkit.Receive(t, "its answer", codes); code != 200 {
			t.Errorf("status %d", code)
		}
	}
}

// A deaf is a client that takes nothing of its response until it is closed.
type deaf struct {
	http.ResponseWriter
	writes chan struct{}
	closed chan struct{}
}

func (d *deaf) Write(p []byte) (int, error) {
	d.writes <- struct{}{}
	<-d.closed
	return 0, io.ErrClosedPipe
}

// TestDeafClients: those that do not take their response keep nobody from getting one.
func TestDeafClients(t *testing.T) {
	h := &Handler{Source: newGateway(), History: new(History)}
	closed, writes := make(chan struct{}), make(chan struct{})
	var all sync.WaitGroup
	for i := range 3 * maxAnswers {
		all.Go(func() {
			r := httptest.NewRequest("GET", []string{"/metrics", "/status.json", "/"}[i%3], nil)
			r.Host = "localhost"
			h.ServeHTTP(&deaf{httptest.NewRecorder(), writes, closed}, r)
		})
		testkit.Receive(t, "a response", writes)
	}
	for _, target := range []string{"/metrics", "/status.json", "/"} {
		if got := ask(h, true, "GET", target, ""); got.Code != 200 {
			t.Errorf("%s beside clients that take nothing: %d %s", target, got.Code, got.Body)
		}
	}
	close(closed)
	all.Wait()
}

// TestCarriageReturn: what a client sends begins no field of an event.
func TestCarriageReturn(t *testing.T) {
	g := newGateway()
	g.inFlight[0].Target = "/x\revent: mine\r\nid: 7\r"
	h := &Handler{Source: g}
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // after the first event
	r := httptest.NewRequest("GET", "/events", nil).WithContext(ctx)
	r.Host = "localhost"
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	lines := strings.FieldsFunc(w.Body.String(), func(r rune) bool { return r == '\r' || r == '\n' })
	for _, line := range lines {
		if !strings.HasPrefix(line, "data: ") {
			t.Errorf("line %q", line)
		}
	}
	if len(lines) < 20 || !strings.Contains(w.Body.String(), "data: event: mine") {
		t.Errorf("%q", w.Body)
	}
}

// TestLook shows one request, as a page and for the command; it is text there.
func TestLook(t *testing.T) {
	h := &Handler{Source: newGateway()}
	for id, want := range map[string]int{"12": 200, "k7rm3qxp-12": 200, "13": 404, "k7rm3qxp-13": 404, "": 400, "%22": 400} {
		for _, target := range []string{"/request?id=", "/request.json?id="} {
			if got := ask(h, true, "GET", target+id, ""); got.Code != want {
				t.Errorf("%s%s: %d %s, want %d", target, id, got.Code, got.Body, want)
			}
		}
	}
	page := ask(h, true, "GET", "/request?id=12", "").Body.String()
	for _, want := range []string{"Request 12", "k7rm3qxp-12", "<h2>processes</h2>", "&lt;script&gt;alert", "first_byte", "running 2 of 8, in the queue 1 of 1024", "abort it</button>"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if strings.Contains(page, "<script") || !strings.HasSuffix(strings.TrimSpace(page), "</html>") {
		t.Errorf("%s", page)
	}
	if over := ask(h, false, "GET", "/request?id=12", "").Body.String(); strings.Contains(over, "abort it") {
		t.Error("over TCP, without a token, there is a button to abort it")
	}
	var d Detail
	if err := json.Unmarshal(ask(h, true, "GET", "/request.json?id=12", "").Body.Bytes(), &d); err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	d.Request.Target = "/\x1b]0;x\a"
	d.WriteText(&text)
	if s := text.String(); strings.ContainsAny(s, "\x1b\a\u009b") || !strings.Contains(s, "processes:\n  <script>") || !strings.Contains(s, "limits:\n  first_byte = 1m0s\n") {
		t.Errorf("%s", s)
	}
}

// TestEmptyLists: a gateway without anything has lists and counts in its JSON, and no null.
func TestEmptyLists(t *testing.T) {
	got := ask(&Handler{Source: new(gateway), History: new(History)}, true, "GET", "/status.json", "")
	if text := got.Body.String(); strings.Contains(text, "null") || !strings.Contains(text, `"in_flight":[]`) {
		t.Errorf("%s", text)
	}
}

// TestTerminal: nothing that others have written is obeyed by a terminal.
func TestTerminal(t *testing.T) {
	const evil = "\x1b[2J\u009b\u202e\r\n"
	s := Status{Version: evil, Reloads: Reloads{Failure: evil}, Applications: []Application{{Name: evil, Failure: evil, Running: new(Use)}},
		InFlight: []Request{{ID: evil, State: evil, Client: evil, Application: evil, Method: evil, Target: evil}}}
	var b strings.Builder
	if s.WriteText(&b, nil, 10); strings.ContainsAny(b.String(), "\x1b\u009b\u202e\r") {
		t.Errorf("%q", b.String())
	}
}

// TestStatus reads what /status.json sends.
func TestStatus(t *testing.T) {
	got := ask(&Handler{Source: newGateway(), Version: "v1"}, true, "GET", "/status.json", "")
	var s Status
	if err := json.Unmarshal(got.Body.Bytes(), &s); err != nil {
		t.Fatal(err)
	}
	if s.Version != "v1" || s.Requests.Ended != 12 || s.Requests.Classes["2xx"] != 3 || s.Requests.Codes[204] != 1 || s.Requests.Failed() != 4 ||
		s.Requests.Duration.Median != 0.001 || s.Requests.Duration.P99 != 1 || len(s.InFlight) != 1 || s.InFlight[0].PID != 99 || s.Applications[0].Processes[0].PID != 77 {
		t.Errorf("%s", got.Body)
	}
}

// TestPageIsEscaped: what clients and programs are called is text on the page, and nothing
// else.
func TestPageIsEscaped(t *testing.T) {
	g := newGateway()
	h := &Handler{Source: g, History: new(History)}
	h.History.failures = []Ended{{Client: hostile, Method: hostile, Target: hostile, Program: hostile, Error: hostile, Remedy: hostile}}
	h.History.slow = h.History.failures
	for _, local := range []bool{true, false} {
		got := ask(h, local, "GET", "/", "")
		body := got.Body.String()
		if got.Code != 200 || strings.Contains(body, "<script>alert") || !strings.Contains(body, "&lt;script&gt;alert") || !strings.HasSuffix(strings.TrimSpace(body), "</html>") {
			t.Errorf("%d\n%s", got.Code, body)
		}
		if strings.Contains(body, ">abort</button>") != local {
			t.Errorf("local: %v, but the button is there: %v", local, !local)
		}
		for _, name := range []string{"Content-Security-Policy", "X-Content-Type-Options", "Cache-Control"} {
			if got.Header().Get(name) == "" {
				t.Errorf("no %s", name)
			}
		}
		for _, outside := range []string{"http:", "https:", "src=\"//"} {
			if strings.Contains(body, outside) {
				t.Errorf("the page loads from elsewhere: %s", outside)
			}
		}
	}
	for _, name := range []string{"/page.css", "/page.js"} {
		if got := ask(h, true, "GET", name, ""); got.Code != 200 || got.Body.Len() == 0 {
			t.Errorf("%s: %d", name, got.Code)
		}
	}
	if got := ask(h, true, "GET", "/"+url.PathEscape("../handler.go"), ""); got.Code != 404 {
		t.Errorf("another file: %d", got.Code)
	}
}
