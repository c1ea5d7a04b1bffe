package upstream

import (
	"bytes"
	"io"
	"strings"
	"testing"

	"gatehouse/cgi"
	"gatehouse/cgi/cgitest"
	"gatehouse/internal/backend"
	"gatehouse/internal/testkit"
	"gatehouse/internal/testkit/peer"
)

// A knownBody is a body of which the length is known.
type knownBody struct {
	io.Reader
	length int
}

func (b knownBody) Len() int { return b.length }

// TestSlowBodiesHoldNoPlace: requests whose bodies have not come do not keep another one from
// the only connection, and nothing of their bodies is lost.
func TestSlowBodiesHoldNoPlace(t *testing.T) {
	const length, uploads = 3 * cgi.BodyAhead, 5
	for _, sent := range []int{1, backend.SmallBody, 16 << 10, 16<<10 + 1, cgi.BodyAhead - 1} {
		p := peer.New(t, "unix", func(c *peer.Conn) {
			if _, body, err := c.Receive(); err == nil {
				c.Respond(body)
			}
		})
		a := newApp(t, Limits{Connections: 1}, p)
		content := peer.Text(length)
		slow := make(chan string, uploads)
		var more []*io.PipeWriter
		for range uploads {
			body, w := io.Pipe()
			more = append(more, w)
			go func() {
				got, _ := run(t, a, newRequest("POST", knownBody{body, length}))
				slow <- got.Body.String()
			}()
			io.WriteString(w, content[:sent])
		}
		got, log := run(t, a, newRequest("POST", strings.NewReader("quick")))
		wantOK(t, got, log, "quick")
		for _, w := range more {
			io.WriteString(w, content[sent:])
			w.Close()
		}
		for range uploads {
			if got := testkit.Receive(t, "an upload's response", slow); got != content {
				t.Errorf("after %d bytes: %d bytes of the body, want %d", sent, len(got), length)
			}
		}
	}
}

// TestLongBodiesStream: a body of which the beginning has come is passed on while the rest
// comes, and any as it comes if the App is Streaming.
func TestLongBodiesStream(t *testing.T) {
	for _, tt := range []struct {
		streaming bool
		sent      int
	}{{false, cgi.BodyAhead}, {true, 1}} {
		begun := make(chan struct{})
		p := peer.New(t, "unix", func(c *peer.Conn) {

			for range 4 { // BEGIN_REQUEST, PARAMS, its end, STDIN
				c.Records.Next()
			}
			close(begun)
			c.ID = 1
			for {
				if h, content, err := c.Records.Next(); err != nil || h.ID() == 1 && len(content) == 0 {
					break
				}
			}
			c.Respond("hello")
		})
		a := newApp(t, Limits{}, p)
		a.Streaming = tt.streaming
		body, w := io.Pipe()
		done := make(chan *cgitest.Recorder, 1)
		go func() {
			got, _ := run(t, a, newRequest("POST", knownBody{body, 3 * cgi.BodyAhead}))
			done <- got
		}()
		w.Write(bytes.Repeat([]byte("x"), tt.sent))
		testkit.Receive(t, "the beginning of the body", begun)
		w.Write(make([]byte, 3*cgi.BodyAhead-tt.sent))
		w.Close()
		if got := testkit.Receive(t, "the response", done); got.Body.String() != "hello" {
			t.Errorf("streaming %v: %q", tt.streaming, got.Body.String())
		}
	}
}
