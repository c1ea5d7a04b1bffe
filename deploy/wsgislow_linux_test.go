package deploy_test

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/testkit"
)

// An unbufferedFront is an nginx that keeps nothing back, on a port, in front of a socket.
type unbufferedFront struct{ name, address, socket string }

var unbufferedFronts = []unbufferedFront{
	{"nginx FastCGI", "localhost:80", "/run/wsgi/fastcgi.sock"},
	{"nginx HTTP", "localhost:8080", "/run/wsgi/http.sock"},
}

// startSlow starts the application of testdata/wsgi/slow behind nginx.
func startSlow(t *testing.T) {
	t.Helper()
	installTree(t, "wsgi/slow", "/srv/slow")
	startWSGI(t, "wsgi/slow")
	startNginx(t, "testdata/wsgi/slow/nginx.conf")
	testkit.Until(t, "the first response", func() bool { return getURL(t, "/").status == http.StatusOK })
}

// A slowClient is a connection that one thing after the other is sent and read on.
type slowClient struct {
	net.Conn
	in   *bufio.Reader
	rest []byte // of the request
	got  []byte // of the body of the response
}

// send sends so many bytes of what is left of the request.
func (c *slowClient) send(t *testing.T, n int) {
	t.Helper()
	n = min(n, len(c.rest))
	if _, err := c.Write(c.rest[:n]); err != nil {
		t.Fatal(err)
	}
	c.rest = c.rest[n:]
}

// read reads so many bytes of the response.
func (c *slowClient) read(t *testing.T, n int) {
	t.Helper()
	b := make([]byte, n)
	if _, err := io.ReadFull(c.in, b); err != nil {
		t.Fatalf("after %d bytes of a response: %v", len(c.got), err)
	}
	c.got = append(c.got, b...)
}

// head reads the head of the response, which has to be a 200.
func (c *slowClient) head(t *testing.T) {
	t.Helper()
	status, err := c.in.ReadString('\n')
	if err != nil || !strings.HasPrefix(status, "HTTP/1.1 200 ") {
		t.Fatalf("a response begins with %q, %v", status, err)
	}
	for line := ""; line != "\r\n"; {
		if line, err = c.in.ReadString('\n'); err != nil {
			t.Fatal(err)
		}
	}
}

// open opens a connection for a request, of which nothing has been sent.
func (f unbufferedFront) open(t *testing.T, request string) *slowClient {
	t.Helper()
	c, err := net.Dial("tcp", f.address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.(*net.TCPConn).SetReadBuffer(128 << 10); err != nil {
		t.Fatal(err)
	}
	return &slowClient{Conn: c, in: bufio.NewReaderSize(c, 4096), rest: []byte(request)}
}

// wantBothWorkers checks that both workers take a request now, at the same time.
func (f unbufferedFront) wantBothWorkers(t *testing.T, release *os.File) {
	t.Helper()
	v := newVisitor(t, "http://"+f.address)
	var pids [2]string
	var bodies [2]*bufio.Reader
	for i := range bodies {
		response := v.open(t, "GET", "/held", nil, 0)
		defer response.Body.Close()
		bodies[i] = bufio.NewReader(response.Body)
		var err error
		if pids[i], err = bodies[i].ReadString('\n'); err != nil || response.StatusCode != http.StatusOK {
			t.Fatalf("a worker to hold: status %d, %v", response.StatusCode, err)
		}
	}
	if pids[0] == pids[1] {
		t.Errorf("worker %s has two requests", pids[0])
	}
	if err := release.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	if _, err := release.WriteString(".."); err != nil {
		t.Fatal(err)
	}
	for _, body := range bodies {
		if rest, err := io.ReadAll(body); err != nil || string(rest) != "released\n" {
			t.Errorf("a worker that was held: %q, %v", rest, err)
		}
	}
}

// TestWSGISlowClients: two workers of a Flask application serve a client at once, and are both free,
// while many others send their bodies byte by byte, and many take large responses a little at a time. All of
// these get what they should in the end.
func TestWSGISlowClients(t *testing.T) {
	const (
		uploads, downloads = 100, 20
		size               = 300_000 // of a body
		lines              = 200_000 // of a response: more than all sockets on its way hold
	)
	startSlow(t)
	release := fifo(t, "/srv/test/release")
	body := bytes.Repeat([]byte("0123456789abcde\n"), size/16+1)[:size]
	uploaded := fmt.Sprintf("%d %x\n", size, sha256.Sum256(body))
	var text bytes.Buffer
	for i := range lines {
		fmt.Fprintf(&text, "%15d\n", i)
	}
	for _, f := range unbufferedFronts {
		t.Run(f.name, func(t *testing.T) {
			var sending, reading []*slowClient
			for range uploads {
				c := f.open(t, fmt.Sprintf("POST /upload HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s", size, body))
				c.send(t, size/2)
				sending = append(sending, c)
			}
			for range downloads {
				c := f.open(t, fmt.Sprintf("GET /download?lines=%d HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", lines))
				c.send(t, len(c.rest))
				c.head(t)
				reading = append(reading, c)
			}
			testkit.Until(t, "the connections to gatehouse", func() bool {
				sockets, err := os.ReadFile("/proc/net/unix")
				if err != nil {
					t.Fatal(err)
				}
				return connections(string(sockets), f.socket) >= uploads+downloads
			})
			v := newVisitor(t, "http://"+f.address)
			for range 3 {
				for _, c := range sending {
					c.send(t, 1)
				}
				for _, c := range reading {
					c.read(t, 100)
				}
				v.get(t, "/").want(t, "a fast client", http.StatusOK, "worker ")
				f.wantBothWorkers(t, release)
			}
			for _, c := range sending {
				c.send(t, len(c.rest))
				c.head(t)
				if got, err := io.ReadAll(c.in); err != nil || string(got) != uploaded {
					t.Errorf("a slow upload: %q, %v; want %q", got, err, uploaded)
				}
			}
			for _, c := range reading {
				rest, err := io.ReadAll(c.in)
				if got := append(c.got, rest...); err != nil || !bytes.Equal(got, text.Bytes()) {
					t.Errorf("a slow download: %d bytes, %v; want %d", len(got), err, text.Len())
				}
			}
			f.wantBothWorkers(t, release)
		})
	}
}

// TestWSGIEvents: each event of a Flask application (server-sent events) arrives before the next one
// is yielded, through an nginx that keeps nothing back.
func TestWSGIEvents(t *testing.T) {
	startSlow(t)
	for _, f := range unbufferedFronts {
		t.Run(f.name, func(t *testing.T) {
			events := fifo(t, "/srv/test/events")
			say := func(text string) {
				if _, err := fmt.Fprintln(events, text); err != nil {
					t.Fatal(err)
				}
			}
			say("0") // the head goes out with it
			response := newVisitor(t, "http://"+f.address).open(t, "GET", "/events", nil, 0, "Accept: text/event-stream")
			defer response.Body.Close()
			if ct := response.Header.Get("Content-Type"); response.StatusCode != http.StatusOK || !strings.HasPrefix(ct, "text/event-stream") {
				t.Errorf("status %d, Content-Type %q", response.StatusCode, ct)
			}
			in := bufio.NewReader(response.Body)
			for i := range 20 {
				if i > 0 {
					say(fmt.Sprint(i))
				}
				for _, want := range []string{fmt.Sprintf("data: %d\n", i), "\n"} {
					if line, err := in.ReadString('\n'); line != want {
						t.Fatalf("read %q, %v; want %q", line, err, want)
					}
				}
			}
			say("end")
			if rest, err := io.ReadAll(in); len(rest) > 0 || err != nil {
				t.Errorf("behind the last event: %q, %v", rest, err)
			}
		})
	}
}

// TestWSGIStreaming: with streaming = true the application reads what has come of a body while the
// client still sends the rest.
func TestWSGIStreaming(t *testing.T) {
	const lines = 20
	startSlow(t)
	line := strings.Repeat("x", 999) + "\n"
	for _, f := range unbufferedFronts {
		t.Run(f.name, func(t *testing.T) {
			progress := bufio.NewReader(fifo(t, "/srv/test/progress"))
			c := f.open(t, fmt.Sprintf("POST /streaming/progress HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\nConnection: close\r\n\r\n", lines*len(line)))
			c.send(t, len(c.rest))
			for range lines {
				c.rest = []byte(line)
				c.send(t, len(line))
				if got, err := progress.ReadString('\n'); got != line {
					t.Fatalf("the application has read %q, %v", got, err)
				}
			}
			c.head(t)
			if got, err := io.ReadAll(c.in); err != nil || string(got) != "whole\n" {
				t.Errorf("the response is %q, %v", got, err)
			}
		})
	}
}
