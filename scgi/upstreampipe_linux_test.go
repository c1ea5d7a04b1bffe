package scgi

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"gatehouse/cgi"
	"gatehouse/cgi/cgitest"
	"gatehouse/internal/testkit"
)

// A pipeRecorder is a Recorder that takes what is in a pipe.
type pipeRecorder struct {
	cgitest.Recorder
	moved int // bytes it has taken
	most  int // so many are taken
}

// SendPipe implements frontend.PipeSink.
func (r *pipeRecorder) SendPipe(pipe, n int) (int, error) {
	if r.moved+n > r.most {
		return 0, http.ErrNotSupported
	}
	b := make([]byte, n)
	for got := 0; got < n; {
		m, err := unix.Read(pipe, b[got:])
		if err != nil {
			return got, err
		}
		got += m
	}
	r.moved += n
	return r.Body.Write(b)
}

// TestClientPipe: large responses are moved by a pipe if the front-end takes that, and are the
// same in any case: to the end of the connection, to their length, and truncated.
func TestClientPipe(t *testing.T) {
	text := strings.Repeat("0123456789abcdefghi\n", 5<<20/20)
	for _, network := range []string{"unix", "tcp"} {
		for name, tt := range map[string]struct {
			head string
			most int
			body string
			end  cgi.End
		}{
			"whole":     {"Status: 200\r\n\r\n", 1 << 30, text, cgi.Complete},
			"a length":  {"Content-Length: 1000000\r\n\r\n", 1 << 30, text[:1_000_000], cgi.Complete},
			"too short": {"Content-Length: 6000000\r\n\r\n", 1 << 30, text, cgi.Truncated},
			"refused":   {"Status: 200\r\n\r\n", 1 << 20, text, cgi.Complete},
		} {
			t.Run(network+"/"+name, func(t *testing.T) {
				l := testkit.Listen(t, network)
				done := make(chan struct{})
				go func() {
					defer close(done)
					c, err := l.Accept()
					if err != nil {
						return
					}
					defer c.Close()
					io.ReadFull(c, make([]byte, 20)) // some of the request …
					io.WriteString(c, tt.head+text)
					c.(interface{ CloseWrite() error }).CloseWrite()
					io.Copy(io.Discard, c) // … and the rest, lest it be reset
				}()
				fds := testkit.Descriptors(t)
				c := &Client{Addresses: []string{strings.TrimPrefix(l.Addr().Network()+":"+l.Addr().String(), "tcp:")}}
				var log testkit.Log
				got := pipeRecorder{most: tt.most}
				(&cgi.Handler{Log: log.Logger()}).Run(clientRequest(nil, 0, "REQUEST_METHOD=GET"), &got, c)
				c.Close()
				<-done
				if got.Head.Code != 200 || got.Outcome.End != tt.end || got.Body.String() != tt.body {
					t.Errorf("status %d, %v, %d bytes or other ones; want %d\n%s", got.Head.Code, got.Outcome.End, got.Body.Len(), len(tt.body), log.String())
				}
				if got.moved == 0 {
					t.Error("nothing was moved by a pipe")
				}
				testkit.Until(t, "all descriptors are closed", func() bool { return testkit.Descriptors(t) <= fds })
			})
		}
	}
}
