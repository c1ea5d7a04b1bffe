//go:build linux

package script

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"gatehouse/cgi"
)

// A nullSink throws an answer away.
type nullSink struct{ code, bytes int }

func (s *nullSink) WriteHead(h *cgi.Head) error { s.code = h.Code; return nil }
func (s *nullSink) Write(p []byte) (int, error) { s.bytes += len(p); return len(p), nil }
func (s *nullSink) Flush() error                { return nil }
func (s *nullSink) Finish(cgi.Outcome) error    { return nil }

const helloC = `#include <unistd.h>
int main(void) {
	static const char s[] = "Content-Type: text/plain\r\n\r\nhello world\n";
	return write(1, s, sizeof s - 1) != sizeof s - 1;
}
`

// BenchmarkHello runs a static C program that says hello, eight requests at a
// time.
func BenchmarkHello(b *testing.B) {
	dir := b.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "hello.c"), []byte(helloC), 0o644); err != nil {
		b.Fatal(err)
	}
	prog := filepath.Join(dir, "hello.cgi")
	if out, err := exec.Command("gcc", "-O2", "-static", "-o", prog, filepath.Join(dir, "hello.c")).CombinedOutput(); err != nil {
		b.Fatalf("gcc: %v\n%s", err, out)
	}
	app := &App{Roots: []string{dir}}
	defer app.Close()
	var h cgi.Handler
	b.ReportAllocs()
	b.SetParallelism(4) // times 2 processors
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			r := &cgi.Request{Body: strings.NewReader(""), Env: cgi.NewEnviron("REQUEST_METHOD=GET", "QUERY_STRING=",
				"SCRIPT_FILENAME="+prog, "SCRIPT_NAME=/hello.cgi", "SERVER_PROTOCOL=HTTP/1.1", "HTTP_HOST=example.com",
				"REMOTE_ADDR=127.0.0.1", "SERVER_NAME=example.com", "SERVER_PORT=80", "REQUEST_URI=/hello.cgi")}
			var s nullSink
			if res := h.Run(r, &s, app); res.Err != nil || s.bytes != 12 {
				b.Fatalf("%d bytes, %v", s.bytes, res.Err)
			}
		}
	})
}
