//go:build linux

package script

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"gatehouse/cgi"
)

func TestAnswersHTTP(t *testing.T) {
	a := &App{NPH: []string{"*.nph", "status"}}
	for name, want := range map[string]bool{
		"/srv/nph-x": true, "/srv/nph-": true, "/srv/x.nph": true, "/srv/status": true,
		"/srv/nphx": false, "/nph-dir/x": false, "/srv/x.nph.sh": false, "/srv/NPH-x": false, "/srv/xnph-": false, "/srv/status2": false,
	} {
		if got := a.sendsHTTP(name); got != want {
			t.Errorf("%s: %v; want %v", name, got, want)
		}
	}
	f := newFixture(t)
	f.NPH = []string{"[a"}
	_, res := f.serve(request("/x"))
	checkRefused(t, res, 500, `NPH: "[a": syntax error in pattern`)
}

// R37: over HTTP the client gets the program's status and fields, in a response that is
// the front-end's. Nothing of what the program says about the connection gets through.
func TestR37OverHTTP(t *testing.T) {
	f := newFixture(t)
	f.NPH = []string{"*.nph"}
	text := `printf 'HTTP/1.0 203 As It Is\r\nX-A: 1\r\nServer: mine\r\nDate: now\r\nConnection: keep-alive\r\nKeep-Alive: timeout=5\r\nProxy-Connection: keep-alive\r\nUpgrade: h2c\r\n\r\nbody'`
	f.sh(t, "nph-x", text)
	f.sh(t, "x.nph", text)
	f.sh(t, "plain", text)
	for _, name := range []string{"nph-x", "x.nph", "plain"} {
		// net/http has its own words for a status.
		got := f.overHTTP(t, f.App, "GET /"+name+" HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
		head, _, _ := strings.Cut(got, "\r\n\r\n")
		lines := strings.Split(head, "\r\n")
		if lines[0] != "HTTP/1.1 203 Non-Authoritative Information" {
			t.Errorf("%s: %q", name, lines[0])
		}
		for _, want := range []string{"X-A: 1", "Server: mine", "Date: now", "Connection: close"} {
			if strings.Count(head+"\r\n", "\r\n"+want+"\r\n") != 1 {
				t.Errorf("%s: no %q in %q", name, want, head)
			}
		}
		for _, bad := range []string{"Keep-Alive", "keep-alive", "Upgrade", "Proxy-"} {
			if strings.Contains(head, bad) {
				t.Errorf("%s: %q leaks: %q", name, bad, head)
			}
		}
	}
}

// Over FastCGI and SCGI the status line becomes the Status.
func TestR37BehindAWebServer(t *testing.T) {
	f := newFixture(t)
	f.sh(t, "nph-x", `printf 'HTTP/1.1 404 Gone Fishing\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\nbody'`)
	f.sh(t, "nph-cgi", `printf 'Status: 410\nContent-Type: text/plain\n\nbody'`)
	f.sh(t, "nph-continue", `printf 'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\nbody'`)
	s, res := f.serve(request("/nph-x"))
	if s.Head.Status != "404 Gone Fishing" || s.Field("Connection") != "" || s.Body.String() != "body" || res.Err != nil {
		t.Errorf("%+v, %q, %v", s.Head, s.Body.String(), res.Err)
	}
	if s, res = f.serve(request("/nph-cgi")); s.Head.Status != "410 Gone" || s.Body.String() != "body" {
		t.Errorf("%+v, %q, %v", s.Head, s.Body.String(), res.Err)
	}
	_, res = f.serve(request("/nph-continue"))
	checkRefused(t, res, 502, "200 or more")
}

// A chunked body of a whole HTTP response is taken apart; that of another program is
// what it prints, whatever it says.
func TestNPHChunked(t *testing.T) {
	f := newFixture(t)
	f.Limits.Grace = -1
	const status = `printf 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n'` + "\n"
	f.sh(t, "nph-ok", status+`printf '5\r\nhello\r\n1\r\n'; printf '!\r\n0\r\nX: y\r\n\r\nmore'`)
	f.sh(t, "plain", status+`printf '5\r\nhello\r\n0\r\n\r\n'`)
	f.sh(t, "nph-cut", status+`printf '5\r\nhel'`)
	f.sh(t, "nph-closed", "echo $$ >pgid\n"+status+"printf '5\\r\\nhel'; exec >&- 2>&-; exec sleep 1000")
	f.sh(t, "nph-bad", status+"printf 'hello\n'; exec sleep 1000")
	f.sh(t, "nph-gzip", `printf 'HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n'; exec sleep 1000`)
	f.sh(t, "nph-both", `printf 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\nhello'`)
	f.sh(t, "nph-none", `printf 'HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n'`)

	s, res := f.serve(request("/nph-ok"))
	checkOK(t, s, res, "hello!")
	s, res = f.serve(request("/plain"))
	checkOK(t, s, res, "5\r\nhello\r\n0\r\n\r\n")
	for _, path := range []string{"/nph-cut", "/nph-closed"} {
		s, res = f.serve(request(path))
		if res.End != cgi.Truncated || s.Body.String() != "hel" || !strings.Contains(res.Err.Error(), "its chunked body has no end") {
			t.Errorf("%s: %v, %q, %v; want truncated", path, res.End, s.Body.String(), res.Err)
		}
	}
	s, res = f.serve(request("/nph-bad"))
	if res.End == cgi.Complete && res.Code == 200 || s.Body.String() == "hello\n" || !strings.Contains(res.Err.Error(), "is not chunked") {
		t.Errorf("%v, %d, %q, %v; want 502 or truncated", res.End, res.Code, s.Body.String(), res.Err)
	}
	_, res = f.serve(request("/nph-gzip"))
	checkRefused(t, res, 502, f.dir+"/nph-gzip", "gzip")
	_, res = f.serve(request("/nph-both"))
	checkRefused(t, res, 502, "without a Content-Length")
	if s, res = f.serve(request("/nph-none")); res.Err != nil || s.Head.Code != 304 {
		t.Errorf("%+v, %v", s.Head, res.Err)
	}
	if _, res = f.serve(request("/nph-gzip", "REQUEST_METHOD=HEAD")); res.Code != 502 {
		t.Errorf("%d, %v", res.Code, res.Err)
	}
	if s, res = f.serve(request("/nph-cut", "REQUEST_METHOD=HEAD")); res.Err != nil || res.Code != 200 || s.Body.Len() != 0 {
		t.Errorf("%d, %v, %q", res.Code, res.Err, s.Body.String())
	}
}

// What such a program writes is sent as it comes: each piece by a flush of its own.
func TestNPHIsUnbuffered(t *testing.T) {
	f := newFixture(t)
	fifos := map[string]string{} // by what was flushed before
	for i, body := range []string{"", "one"} {
		fifos[body] = f.fifo(t, fmt.Sprint("fifo", i))
	}
	f.sh(t, "nph-x", "printf 'HTTP/1.1 200 OK\\r\\n\\r\\n'\nread x <fifo0\nprintf one\nread x <fifo1\nprintf two")
	s := new(recorder)
	var seen []string
	var writing sync.WaitGroup
	s.onFlush = func(body string) {
		seen = append(seen, body)
		if fifo := fifos[body]; fifo != "" {
			writing.Go(func() { writeFifo(t, fifo) })
		}
	}
	res := f.serveTo(request("/nph-x"), s)
	writing.Wait()
	checkOK(t, s, res, "onetwo")
	if got := strings.Join(seen, "|"); got != "|one|onetwo" {
		t.Errorf("flushed %q; want the head and each piece, once", got)
	}
	// So is the head of a chunked answer.
	fifo := f.fifo(t, "fifo2")
	f.sh(t, "nph-chunked", "printf 'HTTP/1.1 200 OK\\r\\nTransfer-Encoding: chunked\\r\\n\\r\\n'\nread x <fifo2\nprintf '5\\r\\nhello\\r\\n0\\r\\n\\r\\n'")
	s = new(recorder)
	s.onFlush = func(body string) {
		if body == "" {
			writing.Go(func() { writeFifo(t, fifo) })
		}
	}
	res = f.serveTo(request("/nph-chunked"), s)
	writing.Wait()
	checkOK(t, s, res, "hello")
	// Nothing is held, not even what comes with the end.
	f.sh(t, "nph-now", "printf 'HTTP/1.1 200 OK\\r\\n\\r\\nhello'")
	s = new(recorder)
	res = f.serveTo(request("/nph-now"), s)
	checkOK(t, s, res, "hello")
	if s.Flushes == 0 || s.Field("Content-Length") != "" {
		t.Errorf("%d flushes, %+v; want it to be sent as it came", s.Flushes, s.Head)
	}
}
