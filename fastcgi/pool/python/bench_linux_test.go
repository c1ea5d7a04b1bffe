package python

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gatehouse/fastcgi/record"
)

// nginxVariables are what nginx sends, and the gateway adds.
var nginxVariables = []string{"QUERY_STRING=", "REQUEST_METHOD=GET", "CONTENT_TYPE=", "CONTENT_LENGTH=", "SCRIPT_NAME=", "REQUEST_URI=/hello",
	"DOCUMENT_URI=/hello", "DOCUMENT_ROOT=/usr/share/nginx/html", "SERVER_PROTOCOL=HTTP/1.1", "REQUEST_SCHEME=http", "GATEWAY_INTERFACE=CGI/1.1",
	"SERVER_SOFTWARE=nginx/1.22.1", "REMOTE_ADDR=127.0.0.1", "REMOTE_PORT=48414", "REMOTE_USER=", "SERVER_ADDR=127.0.0.1", "SERVER_PORT=8080",
	"SERVER_NAME=localhost", "REDIRECT_STATUS=200", "PATH_INFO=/hello", "HTTP_HOST=localhost:8080", "HTTP_USER_AGENT=curl/7.88.1",
	"HTTP_ACCEPT=*/*", "HTTP_ACCEPT_ENCODING=gzip, deflate, br", "REQUEST_ID=6a3f21b8-2a"}

// BenchmarkWorker is a request to a worker alone. Processor time is that of the worker.
func BenchmarkWorker(b *testing.B) {
	dir := b.TempDir()
	writeFile(b, filepath.Join(dir, "app.py"), `
def hello(environ, start_response):
    start_response('200 OK', [('Content-Type', 'text/plain')])
    return [b'Hello, world!']

class closing:
    def __init__(self): self.blocks = iter([b'x' * 2000])
    def __iter__(self): return self
    def __next__(self): return next(self.blocks)
    def close(self): pass

def closed(environ, start_response):
    start_response('200 OK', [('Content-Type', 'text/html; charset=utf-8'), ('X-Frame-Options', 'DENY'), ('Content-Length', '2000'),
        ('X-Content-Type-Options', 'nosniff'), ('Referrer-Policy', 'same-origin')])
    return closing()
`)
	for _, name := range []string{"hello", "closed"} {
		b.Run(name, func(b *testing.B) {
			p := startPeer(b, "python3", dir, "app:"+name)
			p.awaitReady(b)
			request := p.request("", 1, nginxVariables...)
			before := processorTime(b, p.Process.Pid)
			for b.Loop() {
				p.write(b, request)
				for free, ended := false, false; !free || !ended; {
					h, _, err := p.reader.Next()
					if err != nil {
						b.Fatal(err)
					}
					free = free || h.Type() == record.GetValuesResult
					ended = ended || h.Type() == record.EndRequest
				}
			}
			b.ReportMetric(float64(processorTime(b, p.Process.Pid)-before)/float64(b.N)/1000, "worker-µs/op")
		})
	}
}

// processorTime returns the processor time of a process in nanoseconds.
func processorTime(b *testing.B, pid int) (ns int64) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/schedstat", pid))
	if err != nil {
		b.Fatal(err)
	}
	fmt.Sscan(string(text), &ns)
	return ns
}

func writeFile(t testing.TB, name, content string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(strings.TrimLeft(content, "\n")), 0o644); err != nil {
		t.Fatal(err)
	}
}
