package gatehouse

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"gatehouse/cgi"
	"gatehouse/internal/nowait"
	"gatehouse/internal/testkit"
)

// fillPipe returns a pipe with content, for the time of the test.
func fillPipe(t *testing.T, content []byte) *nowait.Pipe {
	t.Helper()
	p := nowait.NewPipe()
	if p == nil {
		t.Fatal("no pipe")
	}
	t.Cleanup(p.Close)
	if n, err := unix.Write(p.In(), content); n != len(content) {
		t.Errorf("the pipe took %d bytes, %v", n, err)
	}
	return p
}

// TestHTTPSendPipe: the parts of a response that are moved from a pipe stand where they belong,
// and another response follows.
func TestHTTPSendPipe(t *testing.T) {
	const parts = 5
	part := make([]byte, 200<<10)
	rand.NewChaCha8([32]byte{1}).Read(part)
	want := "first," + strings.Repeat(string(part)+",next,", parts)
	app := cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
		if err := w.StartResponse("200 OK", []cgi.Field{{Name: "Content-Length", Value: strconv.Itoa(len(want))}}); err != nil {
			return err
		}
		if _, err := io.WriteString(w, "first,"); err != nil {
			return err
		}
		for range parts {
			p := fillPipe(t, part)
			if n, err := cgi.SendPipe(w, p.Out(), len(part)); n != len(part) || err != nil {
				return fmt.Errorf("SendPipe took %d bytes: %w", n, err)
			}
			if _, err := io.WriteString(w, ",next,"); err != nil {
				return err
			}
		}
		return nil
	})
	for _, network := range []string{"unix", "tcp"} {
		t.Run(network, func(t *testing.T) {
			l := testkit.Listen(t, network)
			start(t, app, cgi.Limits{}, Endpoint{Protocol: HTTP, Listener: l})
			c := testkit.Dial(t, l.Addr())
			br := bufio.NewReader(c)
			for range 2 {
				if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: gate\r\n\r\n"); err != nil {
					t.Fatal(err)
				}
				response, err := http.ReadResponse(br, nil)
				if err != nil {
					t.Fatal(err)
				}
				if got, err := io.ReadAll(response.Body); string(got) != want || err != nil {
					t.Fatalf("%d bytes, %v; want %d", len(got), err, len(want))
				}
			}
		})
	}
}

// TestHTTPSendPipeRules: what may not be sent stays in the pipe, and so does what has no
// Content-Length, which is sent in chunks.
func TestHTTPSendPipeRules(t *testing.T) {
	length := func(n string) []cgi.Field { return []cgi.Field{{Name: "Content-Length", Value: n}} }
	for _, c := range []struct {
		name, method, status string
		fields               []cgi.Field
		taken                int
		want                 string // of the body
	}{
		{"GET", "GET", "200 OK", length("10"), 10, "0123456789"},
		{"a shorter length", "GET", "200 OK", length("4"), 4, "0123"},
		{"no length", "GET", "200 OK", nil, 0, "0123456789"},
		{"HEAD", "HEAD", "200 OK", length("10"), 0, ""},
		{"204", "GET", "204 No Content", nil, 0, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			taken := make(chan int, 1)
			app := cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
				p := fillPipe(t, []byte("0123456789"))
				if err := w.StartResponse(c.status, c.fields); err != nil {
					return err
				}
				n, err := cgi.SendPipe(w, p.Out(), 10)
				if p.Len() != 10-n {
					t.Errorf("%d bytes are left in the pipe, of which %d were taken", p.Len(), n)
				}
				taken <- n // the test ends the pipe
				if errors.Is(err, http.ErrNotSupported) {
					_, err = io.WriteString(w, "0123456789"[n:])
				}
				return err
			})
			l := testkit.Listen(t, "unix")
			start(t, app, cgi.Limits{}, Endpoint{Protocol: HTTP, Listener: l})
			conn := testkit.Dial(t, l.Addr())
			fmt.Fprintf(conn, "%s / HTTP/1.1\r\nHost: gate\r\nConnection: close\r\n\r\n", c.method)
			response, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: c.method})
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(response.Body)
			if n := testkit.Receive(t, "SendPipe", taken); n != c.taken || string(got) != c.want || err != nil {
				t.Errorf("%d bytes taken, response %q, %v; want %d, %q", n, got, err, c.taken, c.want)
			}
		})
	}
}

// TestHTTPSendPipeLimit: a client that takes nothing of what is moved loses its connection, and what
// it has got is not the whole response.
func TestHTTPSendPipeLimit(t *testing.T) {
	const size = 64 << 20
	part := bytes.Repeat([]byte("x"), 128<<10)
	result := make(chan error, 1)
	app := cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
		err := w.StartResponse("200 OK", []cgi.Field{{Name: "Content-Length", Value: strconv.Itoa(size)}})
		for sent := 0; sent < size && err == nil; sent += len(part) {
			p := fillPipe(t, part)
			_, err = cgi.SendPipe(w, p.Out(), len(part))
		}
		result <- err
		return err
	})
	for _, network := range []string{"unix", "tcp"} {
		t.Run(network, func(t *testing.T) {
			l := testkit.Listen(t, network)
			_, logs := start(t, app, cgi.Limits{Write: 50 * time.Millisecond}, Endpoint{Protocol: HTTP, Listener: l})
			c := send(t, l.Addr())
			if err := testkit.Receive(t, "the error", result); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("SendPipe = %v", err)
			}
			testkit.Until(t, "the line of the log", func() bool { return strings.Contains(logs.String(), "(write)") })
			if got, err := readResponse(c); err == nil {
				t.Errorf("a whole response of %d bytes", len(got))
			}
		})
	}
}
