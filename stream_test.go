package gatehouse_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"gatehouse"
	"gatehouse/cgi"
	"gatehouse/fastcgi/record"
	"gatehouse/internal/testkit"
	"gatehouse/scgi"
)

// streamRequests are a GET request in each protocol.
var streamRequests = map[gatehouse.Protocol]string{
	gatehouse.HTTP: "GET / HTTP/1.1\r\nHost: gate\r\nConnection: close\r\n\r\n",
	gatehouse.SCGI: string(scgi.AppendNetstring(nil, []byte("CONTENT_LENGTH\x000\x00SCGI\x001\x00REQUEST_METHOD\x00GET\x00SCRIPT_NAME\x00/\x00"))),
	gatehouse.FastCGI: string(record.AppendRecord(record.AppendRecord(record.AppendRecord(
		record.AppendBegin(nil, 1, record.Responder, 0),
		record.Params, 1, []byte("\x0e\x03REQUEST_METHODGET\x0b\x01SCRIPT_NAME/")), record.Params, 1, nil), record.Stdin, 1, nil)),
}

// TestEventStreams: a stream of events that looks at its request's context alone ends when
// Drain has passed, over every protocol. One that looks at the context of Serve ends at
// once, and as a whole.
func TestEventStreams(t *testing.T) {
	for protocol, request := range streamRequests {
		for _, sooner := range []bool{false, true} {
			drain := 10 * time.Millisecond
			if sooner {
				drain = -1
			}
			ctx, stop := context.WithCancel(context.Background())
			cause := make(chan error, 1)
			stream := func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "text/event-stream")
				for {
					io.WriteString(w, "data: tick\n\n")
					if err := http.NewResponseController(w).Flush(); err != nil {
						t.Error(err)
					}
					var end <-chan struct{}
					if sooner {
						end = ctx.Done()
					}
					select {
					case <-r.Context().Done():
						cause <- context.Cause(r.Context())
						return
					case <-end:
						cause <- nil
						return
					}
				}
			}
			l := testkit.Listen(t, "unix")
			s := &gatehouse.Server{App: cgi.FromHTTP(http.HandlerFunc(stream)), Drain: drain, Log: slog.New(slog.DiscardHandler),
				Endpoints: []gatehouse.Endpoint{{Protocol: protocol, Listener: l}}}
			served := make(chan error, 1)
			go func() { served <- s.Serve(ctx) }()
			c := testkit.Dial(t, l.Addr())
			if _, err := io.WriteString(c, request); err != nil {
				t.Fatal(err)
			}
			for got := ""; !strings.Contains(got, "tick"); {
				b := make([]byte, 1000)
				n, err := c.Read(b)
				if err != nil {
					t.Fatalf("%s: %v after %q", protocol, err, got)
				}
				got += string(b[:n])
			}
			stop()
			wantErr, wantCause := context.DeadlineExceeded, cgi.ErrShutdown
			if sooner {
				wantErr, wantCause = nil, nil
			}
			if err := testkit.Receive(t, "the end of the stream", cause); !errors.Is(err, wantCause) {
				t.Errorf("%s: the stream ended for %v; want %v", protocol, err, wantCause)
			}
			io.Copy(io.Discard, c)
			c.Close()
			if err := testkit.Receive(t, "the end of Serve", served); !errors.Is(err, wantErr) {
				t.Errorf("%s: Serve returned %v; want %v", protocol, err, wantErr)
			}
		}
	}
}
