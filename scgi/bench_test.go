package scgi

import (
	"io"
	"net"
	"testing"

	"gatehouse/cgi"
)

var helloFields = []cgi.Field{{Name: "Content-Type", Value: "text/plain"}}

// benchApp answers as a small application does.
var benchApp = cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
	if err := w.StartResponse("200 OK", helloFields); err != nil {
		return err
	}
	_, err := io.WriteString(w, "hello world\n")
	return err
})

// BenchmarkHello is a small request on a connection of its own, the client's part
// included.
func BenchmarkHello(b *testing.B) {
	for _, network := range []string{"unix", "tcp"} {
		b.Run(network, func(b *testing.B) {
			s := serve(b, network, &Server{App: benchApp})
			req := request("", "REQUEST_METHOD=GET", "REQUEST_URI=/", "QUERY_STRING=", "SERVER_PROTOCOL=HTTP/1.1",
				"HTTP_HOST=www.example.test", "HTTP_USER_AGENT=bench/1", "REMOTE_ADDR=127.0.0.1")
			b.ReportAllocs()
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				buf := make([]byte, 4096)
				for pb.Next() {
					c, err := net.Dial(network, s.addr.String())
					if err != nil {
						b.Error(err)
						return
					}
					c.Write(req)
					n := 0
					for err == nil {
						var m int
						m, err = c.Read(buf[n:])
						n += m
					}
					if err != io.EOF || n == 0 {
						b.Errorf("%d bytes, %v", n, err)
					}
					c.Close()
				}
			})
		})
	}
}

// BenchmarkBody is a request with a body of 1 MiB that the application reads.
func BenchmarkBody(b *testing.B) {
	for _, network := range []string{"unix", "tcp"} {
		b.Run(network, func(b *testing.B) {
			s := serve(b, network, &Server{App: cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
				if _, err := io.Copy(io.Discard, r.Body); err != nil {
					return err
				}
				return benchApp(w, r)
			})})
			req := request(string(make([]byte, 1<<20)), "REQUEST_METHOD=POST")
			b.SetBytes(1 << 20)
			b.ReportAllocs()
			for b.Loop() {
				c := s.dial(b)
				wantStatus(b, c.send(req).answer(), "200 OK")
				c.Close()
			}
		})
	}
}
