package upstream

import (
	"context"
	"io"
	"log/slog"
	"net"
	"testing"
	"time"

	"gatehouse/cgi"
	"gatehouse/cgi/admission"
	"gatehouse/fastcgi/record"
	"gatehouse/internal/backend"
)

// An instant is a connection to an application that takes no time: whatever it is sent, the same
// response comes, under the id of the request. It supplies itself.
type instant struct {
	net.Conn
	client   any
	response []byte
}

func newInstant() *instant {
	c, _ := net.Pipe() // which nobody reads
	s := &instant{Conn: c}
	s.response = record.AppendStream(nil, record.Stdout, 1, []byte("Content-Type: text/plain\r\n\r\nhello world\n"))
	s.response = record.AppendRecord(s.response, record.Stdout, 1, nil)
	s.response = record.AppendEndRequest(s.response, 1, 0, record.RequestComplete)
	return s
}

func (s *instant) WriteRead(b, p []byte) (written, read int, err error) {
	if len(b) == 0 {
		return 0, 0, io.EOF
	}
	return len(b), copy(p, s.response), nil
}

func (s *instant) Name() string                    { return "instant" }
func (s *instant) Admission() admission.Limits     { return admission.Limits{Programs: 1} }
func (s *instant) PID() int                        { return 0 }
func (s *instant) Served() int                     { return 0 }
func (s *instant) Client() any                     { return s.client }
func (s *instant) Failed(error)                    {}
func (s *instant) Keep(client any)                 { s.client = client }
func (s *instant) GiveUp()                         { s.client = nil }
func (s *instant) SetReadDeadline(time.Time) error { return nil }
func (s *instant) Connect(context.Context, time.Time, *cgi.Request) (backend.Supplied, error) {
	return s, nil
}

// newPassages returns a function that passes a small request on, without system calls.
func newPassages(t testing.TB) (pass func()) {
	s := newInstant()
	a := &App{Supplier: s, Log: slog.New(slog.DiscardHandler)}
	t.Cleanup(func() {
		a.Close()
		s.Close()
	})
	h := &cgi.Handler{Log: slog.New(slog.DiscardHandler)}
	r := newRequest("GET", nil, "QUERY_STRING=a=1&b=two", "CONTENT_TYPE=", "CONTENT_LENGTH=", "SCRIPT_NAME=/hello", "REQUEST_URI=/hello?a=1&b=two",
		"DOCUMENT_URI=/hello", "DOCUMENT_ROOT=/var/www/html", "SERVER_PROTOCOL=HTTP/1.1", "REQUEST_SCHEME=http", "GATEWAY_INTERFACE=CGI/1.1",
		"SERVER_SOFTWARE=nginx/1.22.1", "REMOTE_ADDR=127.0.0.1", "REMOTE_PORT=45678", "SERVER_ADDR=127.0.0.1", "SERVER_PORT=80",
		"SERVER_NAME=www.example.test", "REDIRECT_STATUS=200", "HTTP_HOST=www.example.test",
		"HTTP_USER_AGENT=Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
		"HTTP_ACCEPT=text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "HTTP_ACCEPT_LANGUAGE=en-US,en;q=0.5",
		"HTTP_ACCEPT_ENCODING=gzip, deflate", "HTTP_COOKIE=session=0123456789abcdef", "SCRIPT_FILENAME=/var/www/html/hello")
	var got head
	return func() {
		r.SetContextSource(background{}) // instead of the context of the last request
		got = head{}
		if result := h.Run(r, &got, a); got.code != 200 || result.Err != nil {
			t.Fatal(got.code, result.Err)
		}
	}
}

// TestPassageAllocates: passing a small request on allocates its id and the head of its response,
// and little else.
func TestPassageAllocates(t *testing.T) {
	pass := newPassages(t)
	if n := testing.AllocsPerRun(1000, pass); n > 2 && !raceEnabled {
		t.Errorf("%v allocations", n)
	}
}

// BenchmarkPassage is what passing on a small request costs this process, without system calls.
func BenchmarkPassage(b *testing.B) {
	pass := newPassages(b)
	b.ReportAllocs()
	for b.Loop() {
		pass()
	}
}

// A head is a sink that keeps the status.
type head struct{ code int }

func (h *head) WriteHead(of *cgi.Head) error { h.code = of.Code; return nil }
func (h *head) Write(p []byte) (int, error)  { return len(p), nil }
func (h *head) Flush() error                 { return nil }
func (h *head) Finish(cgi.Outcome) error     { return nil }

// A background makes the context of a request when it is asked for, as front-ends do.
type background struct{}

func (background) RequestContext() context.Context { return context.Background() }
