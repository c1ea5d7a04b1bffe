package fastcgi

import (
	"errors"
	"log/slog"
	"net"
	"sync"
	"testing"
	"time"

	"gatehouse/cgi"
	"gatehouse/fastcgi/record"
)

// FuzzConnection sends any bytes to a server. It must end, and answer every
// request at most once, with records that parse.
func FuzzConnection(f *testing.F) {
	f.Add(get(1, 0))
	f.Add(append(get(1, 1), post(2, 1, "hello")...))
	f.Add(append(begin(1, 1), abort(1)...))
	f.Add(raw(1, 9, 0, "\x0f\x00FCGI_MPXS_CONNS", 3, 0))
	f.Add(append(begin(1, 1), raw(1, 4, 1, "\xff\xff\xff\xff", 0, 0)...))
	f.Add(append(append(begin(3, 1), begin(1, 0)...), append(params(3, "CONTENT_LENGTH=9"), stdin(3, "12345")...)...))
	f.Add([]byte("GET / HTTP/1.0\r\n\r\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		s := &Server{App: echo, Log: slog.New(slog.DiscardHandler), Limits: cgi.Limits{ParamsBytes: 4096, Requests: 5, BodyRead: soon, Idle: soon}}
		s.Handler = &cgi.Handler{Log: s.Log}
		l, err := net.Listen("unix", "")
		if err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		wg.Go(func() { s.Serve(l) })
		c, err := net.Dial("unix", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		c.SetDeadline(time.Now().Add(patience))
		wg.Go(func() {
			c.Write(data)
			c.(*net.UnixConn).CloseWrite()
		})
		r, begun := record.NewReader(c), begins(data)
		for {
			h, _, err := r.Next()
			if err != nil {
				var ne net.Error
				if errors.As(err, &ne) && ne.Timeout() {
					t.Error("the server does not end the connection")
				}
				break
			}
			if h.Type() == record.EndRequest {
				if begun[h.ID()]--; begun[h.ID()] < 0 {
					t.Errorf("request %d ended more often than it began", h.ID())
				}
			}
		}
		c.Close()
		s.Close()
		wg.Wait()
	})
}

// begins counts the BEGIN_REQUEST records for each id. Of the last one only the 8
// bytes that mean something need have come.
func begins(data []byte) map[uint16]int {
	n := make(map[uint16]int)
	for len(data) >= record.HeaderLen {
		h := record.Header(data)
		data = data[record.HeaderLen:]
		if h.Version() != record.Version1 {
			break
		}
		if h.Type() == record.BeginRequest && len(data) >= 8 {
			n[h.ID()]++
		}
		data = data[min(len(data), h.ContentLength()+h.PaddingLength()):]
	}
	return n
}
