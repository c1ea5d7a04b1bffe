package upstream

import (
	"log/slog"
	"testing"

	"gatehouse/cgi"
	"gatehouse/fastcgi/record"
	"gatehouse/internal/testkit/peer"
)

// BenchmarkHop passes small requests on, on one connection and on one for each. The time of
// the application, which sends the same bytes again and again, under the id of the request, is part of it.
func BenchmarkHop(b *testing.B) {
	for name, keep := range map[string]int{"kept": 1, "new": 0} {
		b.Run(name, func(b *testing.B) {
			var response []byte
			response = record.AppendStream(response, record.Stdout, 1, []byte("Content-Type: text/plain\r\n\r\nhello world\n"))
			end := len(response)
			response = record.AppendEndRequest(response, 1, 0, 0)
			p := peer.New(b, "unix", func(c *peer.Conn) {
				buf := make([]byte, 64<<10)
				for {
					if _, err := c.Read(buf); err != nil {
						return
					}
					copy(response[2:4], buf[2:4]) // the id
					copy(response[end+2:], buf[2:4])
					if _, err := c.Write(response); err != nil || keep == 0 {
						return
					}
				}
			})
			a := newApp(b, Limits{Keep: keep}, p)
			h := &cgi.Handler{Log: slog.New(slog.DiscardHandler)}
			r := newRequest("GET", nil, "SCRIPT_NAME=/page", "QUERY_STRING=", "SERVER_PROTOCOL=HTTP/1.1", "REQUEST_URI=/page", "DOCUMENT_ROOT=/srv/www",
				"REMOTE_ADDR=127.0.0.1", "SERVER_NAME=localhost", "HTTP_HOST=localhost", "HTTP_USER_AGENT=bench", "HTTP_ACCEPT=*/*")
			b.ReportAllocs()
			for b.Loop() {
				var got counter
				h.Run(r, &got, a)
				if got.Head.Code != 200 {
					b.Fatal(got.Head.Code)
				}
			}
		})
	}
}
