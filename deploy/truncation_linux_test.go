package deploy_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// truncationFronts are the web servers with every way of testdata/truncation.
var truncationFronts = []front{
	{"nginx", startNginx, "testdata/truncation/nginx.conf"},
	{"Apache", startApache, "testdata/truncation/apache.conf"},
}

// ways are paths that a web server passes on in a way of their own. The first
// segment begins with the protocol, the second is the network.
var ways = []string{
	"/fastcgi/unix", "/fastcgi/tcp", "/fastcgi-kept/unix", "/fastcgi-kept/tcp",
	"/scgi/unix", "/scgi/tcp",
	"/http/unix", "/http/tcp", "/http-kept/unix", "/http-kept/tcp",
}

// TestTruncationIsVisible: whatever breaks an answer off, the client of the web
// server sees that it is not whole. The same answer unbroken arrives whole, also
// right after a broken one, so that no broken connection is used again.
func TestTruncationIsVisible(t *testing.T) {
	startBackends(t)
	through(t, truncationFronts, func(t *testing.T, f front) {
		for _, way := range ways {
			for _, e := range endings {
				for _, a := range e.answers(f.name == "nginx") {
					t.Run(strings.TrimPrefix(way, "/")+"/"+a.query(), func(t *testing.T) {
						a.wantWhole(t, way)
						a.wantBroken(t, way)
						a.wantWhole(t, way)
					})
				}
			}
		}
	})
}

// TestKeptConnections: the ways that are to keep connections do, or else
// TestTruncationIsVisible would not say much about them.
func TestKeptConnections(t *testing.T) {
	listeners := startBackends(t)
	through(t, truncationFronts, func(t *testing.T, _ front) {
		for _, way := range ways {
			protocol, network, _ := strings.Cut(strings.TrimPrefix(way, "/"), "/")
			protocol, _, kept := strings.Cut(protocol, "-")
			listener := listeners[protocol+"/"+network]
			before := listener.accepted.Load()
			const requests = 20
			for range requests {
				answer{ending: endings[0]}.wantWhole(t, way)
			}
			if n := listener.accepted.Load() - before; kept != (n < requests) {
				t.Errorf("%s: %d connections for %d requests", way, n, requests)
			}
		}
	})
}

// TestTruncationOverHTTP10: an answer over HTTP/1.0 without a Content-Length ends
// where the connection does, so that nothing tells its end from a break.
func TestTruncationOverHTTP10(t *testing.T) {
	startBackends(t)
	startNginx(t, "testdata/truncation/nginx.conf")
	for _, way := range []string{"/http-1.0/unix", "/http-1.0/tcp"} {
		for _, e := range endings {
			if e.post > 0 {
				continue // unread bytes may reset the connection, which is seen
			}
			for _, a := range e.answers(true) {
				t.Run(strings.TrimPrefix(way, "/")+"/"+a.query(), func(t *testing.T) {
					if a.length {
						a.wantBroken(t, way)
					} else {
						a.wantUnnoticed(t, way)
					}
					a.wantWhole(t, way)
				})
			}
		}
	}
}

// TestTruncationElsewhere: an answer that has begun and breaks off is visibly so behind lighttpd
// and HAProxy. Caddy takes the end of the connection for the end of the answer, over HTTP too,
// so that only a Content-Length tells that it came too early.
func TestTruncationElsewhere(t *testing.T) {
	arrived := make(chan struct{}, 1)
	startBackendsWith(t, func() error {
		select {
		case <-arrived:
			return nil
		case <-time.After(patience):
			return errors.New("the beginning of the answer does not arrive")
		}
	})
	for _, f := range []struct {
		front
		ways    []string
		visible bool
	}{
		{front{"lighttpd", startLighttpd, "testdata/truncation/lighttpd.conf"}, []string{"/fastcgi/unix", "/fastcgi/tcp", "/scgi/unix", "/scgi/tcp"}, true},
		{front{"HAProxy", startHAProxy, "testdata/truncation/haproxy.cfg"}, []string{"/fastcgi/tcp", "/fastcgi-kept/tcp"}, true},
		{front{"Caddy", startCaddy, "testdata/truncation/Caddyfile"}, []string{"/fastcgi/unix", "/fastcgi/tcp", "/http-kept/unix", "/http-kept/tcp"}, false},
	} {
		t.Run(f.name, func(t *testing.T) {
			f.start(t, f.file)
			for _, way := range f.ways {
				for _, e := range endings {
					if e.name == "killed" || e.held || e.post > 0 {
						continue // these may break off before the beginning has arrived
					}
					for _, a := range e.answers(false) {
						t.Run(strings.TrimPrefix(way, "/")+"/"+a.query(), func(t *testing.T) {
							goOn := func() { arrived <- struct{}{} }
							if a.length {
								goOn() // over HTTP Caddy holds the beginning back
							} else {
								a.arrived = goOn
							}
							if a.length || f.visible {
								a.wantBroken(t, way)
							} else {
								a.wantUnnoticed(t, way)
							}
							a.wantWhole(t, way)
						})
					}
				}
			}
		})
	}
}

// answers returns the answers that can break off in this way: with a
// Content-Length and without, nginx buffering them or not.
func (e ending) answers(buffering bool) []answer {
	var list []answer
	for _, length := range []bool{true, false} {
		if !length && strings.HasPrefix(e.name, tooShort) {
			continue // it would be whole
		}
		list = append(list, answer{ending: e, length: length})
		if buffering {
			list = append(list, answer{ending: e, length: length, streamed: true})
		}
	}
	return list
}

// fetch gets an answer on the way, and how its body ended.
func (a answer) fetch(t *testing.T, way string) (page, error) {
	t.Helper()
	method, body := "GET", io.Reader(nil)
	if a.post > 0 {
		method, body = "POST", strings.NewReader(strings.Repeat("p", a.post))
	}
	request, err := http.NewRequest(method, "http://localhost"+way+"?"+a.query(), body)
	if err != nil {
		t.Fatal(err)
	}
	response, err := httpClient(t).Do(request)
	if err != nil {
		return page{}, err
	}
	defer response.Body.Close()
	var got bytes.Buffer
	if a.arrived != nil {
		if _, err := io.CopyN(&got, response.Body, int64(a.part)); err != nil {
			t.Fatalf("%d bytes arrived, then %v; want the part of %d bytes", got.Len(), err, a.part)
		}
		a.arrived()
	}
	_, err = got.ReadFrom(response.Body)
	return page{response.StatusCode, response.Header, got.String()}, err
}

func (a answer) wantWhole(t *testing.T, way string) {
	t.Helper()
	a.whole, a.arrived = true, nil
	got, err := a.fetch(t, way)
	if err != nil || got.status != http.StatusOK || got.body != a.body() {
		t.Errorf("the whole answer: %s; want 200 and its %d bytes", seen(got, err), len(a.body()))
	}
}

// wantBroken checks that the client sees the answer to be broken: it breaks off,
// or the web server closes the connection without an answer, or says that
// something is wrong.
func (a answer) wantBroken(t *testing.T, way string) {
	t.Helper()
	got, err := a.fetch(t, way)
	switch {
	case got.status == http.StatusOK && errors.Is(err, io.ErrUnexpectedEOF) && strings.HasPrefix(a.body()[:a.part], got.body):
	case got.status == 0 && errors.Is(err, io.EOF):
	case got.status >= 500:
	default:
		t.Errorf("the broken answer: %s; want an unexpected EOF after a part of %d bytes, or at once, or a status of 500 or more", seen(got, err), a.part)
	}
	t.Log(seen(got, err))
}

// wantUnnoticed checks that the part which was sent is taken for the whole.
func (a answer) wantUnnoticed(t *testing.T, way string) {
	t.Helper()
	got, err := a.fetch(t, way)
	if err != nil || got.status != http.StatusOK || got.body != a.body()[:a.part] {
		t.Errorf("the broken answer: %s; so it can be seen where it breaks off", seen(got, err))
	}
}

func seen(got page, err error) string {
	return fmt.Sprintf("status %d, %v after %d bytes (%.20q)", got.status, err, len(got.body), got.body)
}
