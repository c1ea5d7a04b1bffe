//go:build linux

package main

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"gatehouse/cgi"
	"gatehouse/fastcgi"
	"gatehouse/fastcgi/record"
	"gatehouse/internal/testkit"
	"gatehouse/scgi"
)

func TestMain(m *testing.M) {
	if name := os.Getenv(sideVariable); name != "" { // this binary is a side of a row
		if err := serveSide(name); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
		os.Exit(1)
	}
	testkit.Main(m)
}

func small() scale {
	return scale{size: 1e6 + 1, requests: 50, idle: 20, steadyFor: 10 * time.Millisecond, many: []int{64, 200},
		stream: 2e6 + 2, slow: 4, clients: 30, hoards: hoarding{connections: 2, requests: 3, size: 200_000, settle: 10 * time.Millisecond}}
}

// TestRows measures each row, too briefly for its numbers to mean anything: all sides
// start, respond as expected under the load, and end.
func TestRows(t *testing.T) {
	w, err := newWorkshop()
	if err != nil {
		t.Fatal(err)
	}
	defer w.close()
	for _, r := range rows(w, small()) {
		t.Run(r.name, func(t *testing.T) {
			results, err := measure(w, r, 1, 10*time.Millisecond)
			if err != nil {
				t.Fatal(err)
			}
			if len(results) != 1+len(r.peers) {
				t.Fatalf("%d results for %d peers", len(results), len(r.peers))
			}
			for _, result := range results {
				if len(result.figures) != len(r.ours.meter.figures()) {
					t.Errorf("%s: %v", result.side, result.figures)
				}
				for _, f := range result.figures {
					// Memory that was freed meanwhile can make the difference of so few
					// connections anything; the processor time of so few requests is counted in
					// ticks.
					if len(f) != 1 || f[0] <= 0 && r.name != "idle" && r.name != "forward-cost" && r.name != "kept-cost" && r.name != "wsgi-cost" {
						t.Errorf("%s: %v", result.side, result.figures)
					}
				}
			}
			var out strings.Builder
			printRow(&out, r, results)
			printUsage(&out, results)
			for _, p := range r.peers {
				if !strings.Contains(out.String(), p.side.name) {
					t.Errorf("the table has no %s:\n%s", p.side.name, out.String())
				}
			}
		})
	}
}

// serve serves an application over SCGI or FastCGI, and returns its socket as a side
// that runs.
func serve(t *testing.T, a cgi.AppFunc, overSCGI bool) *running {
	t.Helper()
	l := testkit.Listen(t, "unix")
	var s testkit.Server = &fastcgi.Server{Log: slog.New(slog.DiscardHandler), App: a}
	if overSCGI {
		s = &scgi.Server{Log: slog.New(slog.DiscardHandler), App: a}
	}
	testkit.Serve(t, s, l, http.ErrServerClosed)
	return &running{socket: l.Addr().String()}
}

// TestWrongResponsesAreNoSpeed: a side that sends something else, the first time or
// later, ends the measurement.
func TestWrongResponsesAreNoSpeed(t *testing.T) {
	const size = 300_000
	data := bytes.Repeat(block(), 5)[:size]
	wrong := bytes.Clone(data)
	wrong[size-1]++
	kept := request{keep: true}
	for _, c := range []struct {
		name      string
		meter     meter
		responses [2]string // the first, and all that follow
		want      string
	}{
		{"kept", load{connections: 2, request: kept}, [2]string{"something else\n", ""}, "the response is not"},
		{"kept, later", load{connections: 1, request: kept}, [2]string{helloText, "hello again\n"}, "the response is not"},
		{"kept, later, shorter", load{connections: 1, request: kept}, [2]string{helloText, "hello"}, "the response is not"},
		{"kept, later, longer", load{connections: 1, request: kept}, [2]string{helloText, helloText + helloText}, "the response is not"},
		{"a connection each", load{connections: 2}, [2]string{"something else\n", ""}, "the response is not"},
		{"a connection each, later", load{connections: 1}, [2]string{helloText, "hello again\n"}, "the response is not"},
		{"multiplexed", multiplexed{4}, [2]string{"something else\n", ""}, "the response is not"},
		{"multiplexed, later", multiplexed{1}, [2]string{helloText, "hello again\n"}, "the response is not"},
		{"short response", fetching{size: size}, [2]string{string(data[1:]), ""}, "the response differs"},
		{"response cut short", fetching{size: size}, [2]string{string(data[:size-1]), ""}, "not 300000"},
		{"response cut short, later", fetching{size: size}, [2]string{string(data), string(data[:size-1])}, "not 300000"},
		{"wrong at its end", fetching{size: size}, [2]string{string(wrong), ""}, "the response differs"},
		{"wrong from its beginning, later", fetching{size: size}, [2]string{string(data), string(data[1:]) + "x"}, "the response differs"},
		{"longer", fetching{size: size}, [2]string{string(data) + "x", ""}, "the response differs"},
		{"a connection each, cut short, later", fetching{size: size, each: true}, [2]string{string(data), string(data[:size-1])}, "not 300000"},
		{"body", posting{size: size}, [2]string{"299999\n", ""}, "the response is not"},
		{"body, later", posting{size: size}, [2]string{"300000\n", "299999\n"}, "the response is not"},
		{"idle", resident{connections: 2}, [2]string{"something else\n", ""}, "the response is not"},
		{"queued", load{connections: 2, request: kept, queued: true}, [2]string{"something else\n", ""}, "the response is not"},
		{"queued, later", load{connections: 1, request: kept, queued: true}, [2]string{helloText, "hello again\n"}, "the response is not"},
		{"slow", slow{clients: 2, size: size}, [2]string{string(data[1:]), ""}, "the response differs"},
		{"slow, cut short", slow{clients: 2, size: size}, [2]string{string(data[:size-1]), ""}, "not 300000"},
		{"slow, longer", slow{clients: 2, size: size}, [2]string{string(data) + "x", ""}, "the response differs"},
		{"peak", peak{fetching{size: size}}, [2]string{string(data[:size-1]), ""}, "not 300000"},
		{"SCGI", scgiFetching{size: size}, [2]string{string(data[1:]), ""}, "the response differs"},
		{"SCGI, cut short", scgiFetching{size: size}, [2]string{string(data[:size-1]), ""}, "not 300000"},
		{"SCGI, cut short, later", scgiFetching{size: size}, [2]string{string(data), string(data[:size-1])}, "not 300000"},
		{"SCGI, wrong at its end", scgiFetching{size: size}, [2]string{string(wrong), ""}, "the response differs"},
		{"SCGI, longer", scgiFetching{size: size}, [2]string{string(data) + "x", ""}, "the response differs"},
		{"allocations", allocating{2}, [2]string{"something else\n", ""}, "the response is not"},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := 0
			r := serve(t, func(w cgi.ResponseWriter, r *cgi.Request) error {
				if _, err := io.Copy(io.Discard, r.Body); err != nil {
					return err
				}
				if err := w.StartResponse("200 OK", nil); err != nil {
					return err
				}
				text := c.responses[min(n, 1)]
				if c.responses[1] != "" { // one client: nobody else counts
					n++
				}
				_, err := io.WriteString(w, text)
				return err
			}, strings.HasPrefix(c.name, "SCGI"))
			if _, err := c.meter.measure(r, 50*time.Millisecond); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("measure returned %v, not %q", err, c.want)
			}
		})
	}
}

// TestBrokenResponses: an invalid FastCGI response ends the measurement, too.
func TestBrokenResponses(t *testing.T) {
	good := bareResponse(helloText)
	for _, c := range []struct {
		name, response, want string
	}{
		{"nothing", "", "EOF"},
		{"cut short", string(good[:len(good)-1]), "EOF"},
		{"two responses", string(good) + string(good), "after the end of"},
		{"version 0", "\x00" + string(good[1:]), "version 0"},
		{"another id", string(record.AppendEndRequest(nil, 2, 0, record.RequestComplete)), "id 2"},
		{"another type", string(record.AppendRecord(nil, record.Params, 1, nil)), "FCGI_PARAMS"},
		{"refused", string(record.AppendEndRequest(nil, 1, 0, record.Overloaded)), "FCGI_OVERLOADED"},
		{"a status", string(record.AppendEndRequest(nil, 1, 3, record.RequestComplete)), "and 3"},
		{"no head", string(record.AppendEndRequest(record.AppendStream(nil, record.Stdout, 1, []byte(helloText)), 1, 0, record.RequestComplete)), "the response is not"},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := testkit.Listen(t, "unix")
			served := make(chan struct{})
			go func() {
				defer close(served)
				conn, err := l.Accept()
				if err != nil {
					return
				}
				defer conn.Close()
				b := &bare{c: conn, buf: make([]byte, 4096)}
				b.request()
				io.WriteString(conn, c.response)
			}()
			defer func() {
				l.Close()
				<-served
			}()
			_, err := load{connections: 1, request: request{keep: true}}.measure(&running{socket: l.Addr().String()}, time.Second)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("measure returned %v, not %q", err, c.want)
			}
		})
	}
}

// TestHTTPResponses: which responses to HTTP are right.
func TestHTTPResponses(t *testing.T) {
	const head = "HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n"
	for _, c := range []struct {
		response string
		whole    bool
		want     string // in the error
	}{
		{head + helloText, true, ""},
		{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nc\r\n" + helloText + "\r\n0\r\n\r\n", true, ""},
		{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nc\r\n" + helloText, false, ""},
		{head[:20], false, ""},
		{head + helloText[:5], false, ""},
		{head + helloText + "x", false, "after the end"},
		{head + "hello_world\n", false, "the response is not"},
		{"HTTP/1.1 404 Not Found\r\nContent-Length: 12\r\n\r\n" + helloText, false, "404"},
		{"nonsense\r\n\r\n", false, "malformed"},
	} {
		r := response{http: true, body: helloText}
		whole, err := r.complete([]byte(c.response))
		if whole != c.whole || (err != nil) != (c.want != "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: %v, %v; want %v, %q", c.response, whole, err, c.whole, c.want)
		}
	}
}

// TestIdleConnectionsStay: a side that closes its connections has no figure.
func TestIdleConnectionsStay(t *testing.T) {
	l := testkit.Listen(t, "unix")
	served := make(chan struct{})
	go func() {
		defer close(served)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			b := &bare{c: conn, buf: make([]byte, 4096)}
			b.request()
			conn.Write(bareResponse(helloText))
			conn.Close()
		}
	}()
	defer func() {
		l.Close()
		<-served
	}()
	self, err := os.FindProcess(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	r := &running{socket: l.Addr().String(), commands: []*exec.Cmd{{Process: self}}}
	_, err = resident{connections: 2, steadyFor: 5 * time.Millisecond}.measure(r, 0)
	if err == nil || !strings.Contains(err.Error(), "did not stay") {
		t.Errorf("measure returned %v", err)
	}
}

// TestAskMultiplex: nothing is multiplexed to a side that does not say that it may be.
func TestAskMultiplex(t *testing.T) {
	pair := func(t record.Type, value string) []byte {
		return record.AppendRecord(nil, t, 0, record.AppendPair(nil, "FCGI_MPXS_CONNS", value))
	}
	for _, c := range []struct {
		response []byte
		ok       bool
	}{
		{pair(record.GetValuesResult, "1"), true},
		{pair(record.GetValuesResult, "0"), false},
		{record.AppendRecord(nil, record.GetValuesResult, 0, nil), false},
		{pair(record.GetValues, "1"), false},
		{record.AppendUnknownType(nil, record.GetValues), false},
		{nil, false},
	} {
		var sent bytes.Buffer
		err := askMultiplex(struct {
			io.Reader
			io.Writer
		}{bytes.NewReader(c.response), &sent})
		if (err == nil) != c.ok {
			t.Errorf("%q: %v", c.response, err)
		}
		if h := record.Header(sent.Bytes()); h.Type() != record.GetValues || h.ID() != 0 {
			t.Errorf("sent %q", sent.Bytes())
		}
	}
}

// TestRequest: what is sent is one request of the common variables.
func TestRequest(t *testing.T) {
	r := record.NewReader(bytes.NewReader(request{keep: true, filename: "/a/hello", id: 7}.bytes()))
	var types []string
	var pairs []byte
	for {
		h, content, err := r.Next()
		if err != nil {
			break
		}
		if h.ID() != 7 {
			t.Errorf("%v for id %d", h.Type(), h.ID())
		}
		types = append(types, h.Type().String())
		if h.Type() == record.Params {
			pairs = append(pairs, content...)
		}
	}
	if got := strings.Join(types, " "); got != "FCGI_BEGIN_REQUEST FCGI_PARAMS FCGI_PARAMS FCGI_STDIN" {
		t.Errorf("records %s", got)
	}
	vars := make(map[string]string)
	for len(pairs) > 0 {
		name, value, rest, err := record.NextPair(pairs)
		if err != nil {
			t.Fatal(err)
		}
		vars[string(name)], pairs = string(value), rest
	}
	if len(vars) != 25 || vars["SCRIPT_FILENAME"] != "/a/hello" {
		t.Errorf("%d variables, SCRIPT_FILENAME %q", len(vars), vars["SCRIPT_FILENAME"])
	}
}

// TestUpload: a large body has its length, whatever that is.
func TestUpload(t *testing.T) {
	for _, size := range []int{1, 32<<10 - 1, 32 << 10, 32<<10 + 1, 256 << 10, 1e6} {
		u := newUpload(size, "")
		all := append(append(u.head, bytes.Repeat(u.records, u.repeat)...), u.last...)
		r := record.NewReader(bytes.NewReader(all))
		got, ended := 0, false
		for {
			h, content, err := r.Next()
			if err != nil {
				break
			}
			if h.Type() == record.Stdin {
				got += len(content)
				ended = len(content) == 0
			}
		}
		if got != size || !ended {
			t.Errorf("%d bytes of %d, ended %v", got, size, ended)
		}
	}
}

func TestGoal(t *testing.T) {
	for _, c := range []struct {
		goal        goal
		ours, ratio float64
		want        bool
		text        string
	}{
		{goal{}, 5, 0.1, true, ""},
		{goal{ratio: 0.85}, 5, 0.85, true, "≥ 0.85 ×"},
		{goal{ratio: 0.85}, 5, 0.84, false, "≥ 0.85 ×"},
		{goal{most: 4}, 4, 0.1, true, "≤ 4"},
		{goal{most: 4}, 4.1, 0.1, false, "≤ 4"},
		{goal{over: 10}, 30, 1.5, true, "≤ + 10"},
		{goal{over: 10}, 31, 1.55, false, "≤ + 10"},
	} {
		if got := c.goal.met(c.ours, c.ours/c.ratio, c.ratio); got != c.want || c.goal.String() != c.text {
			t.Errorf("%q of %v, %v: %v", c.goal, c.ours, c.ratio, got)
		}
	}
}

// TestTable: a missed goal is marked, and the ratio is the median of the rounds' own.
func TestTable(t *testing.T) {
	r := row{name: "app", title: "App", ours: contender{meter: load{}}, peers: []rival{{goal: goal{ratio: 2}}}}
	for _, c := range []struct {
		ours, theirs []float64
		want         string
	}{
		{[]float64{10, 30, 20}, []float64{1, 10, 10}, "3.00    2.00–10.0     ≥ 2 ×\n"},
		{[]float64{10, 10, 10}, []float64{10, 5, 10}, "1.00    1.00–2.00     ≥ 2 ×  ✗ missed\n"},
	} {
		var b strings.Builder
		printRow(&b, r, []result{{figures: [][]float64{c.ours}}, {figures: [][]float64{c.theirs}}})
		if !strings.HasSuffix(b.String(), c.want) {
			t.Errorf("printed %q, not %q", b.String(), c.want)
		}
	}
}

func TestMedian(t *testing.T) {
	for _, c := range []struct {
		values []float64
		want   float64
	}{{[]float64{3}, 3}, {[]float64{9, 1}, 5}, {[]float64{5, 1, 100}, 5}} {
		if got := median(c.values); got != c.want {
			t.Errorf("median(%v) = %v, want %v", c.values, got, c.want)
		}
	}
}
