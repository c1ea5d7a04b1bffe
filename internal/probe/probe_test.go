package probe

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gatehouse/cgi"
	"gatehouse/fastcgi/record"
	"gatehouse/internal/backend"
	"gatehouse/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// application listens, and serves each connection: it reads until what comes ends in until,
// and then sends reply. It returns where.
func application(t *testing.T, until, reply string) backend.Address {
	t.Helper()
	l := testkit.Listen(t, "unix")
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			var got []byte
			b := make([]byte, 64<<10)
			for !strings.HasSuffix(string(got), until) {
				n, err := c.Read(b)
				got = append(got, b[:n]...)
				if err != nil {
					break
				}
			}
			io.WriteString(c, reply)
			c.Close()
		}
	}()
	t.Cleanup(func() { l.Close(); <-done })
	return backend.Address{Network: "unix", Address: l.Addr().String()}
}

func stdout(data string) string {
	return string(record.AppendRecord(nil, record.Stdout, 1, []byte(data)))
}

func ended(status uint32, ps record.ProtocolStatus) string {
	return string(record.AppendEndRequest(nil, 1, status, ps))
}

var endOfStdin = string(record.AppendRecord(nil, record.Stdin, 1, nil))

// TestTrace: what -v shows of each protocol.
func TestTrace(t *testing.T) {
	const head = "Content-Type: text/plain\r\n\r\n"
	for _, tt := range []struct {
		protocol     Protocol
		until, reply string
	}{
		{FastCGI, endOfStdin, stdout(head+"hello") + string(record.AppendRecord(nil, record.Stderr, 1, []byte("\x1b[1m"))) + stdout("") + ended(3, 0)},
		{SCGI, ",body", head + "hello"},
		{HTTP, "body", "HTTP/1.1 200 OK\r\nX-One: 1\r\n\r\nhello"},
	} {
		t.Run(string(tt.protocol), func(t *testing.T) {
			var trace strings.Builder
			target := Target{Protocol: tt.protocol, Address: application(t, tt.until, tt.reply), Trace: &trace}
			var output, messages strings.Builder
			result, err := target.Do(t.Context(), &Request{
				Method: "POST", Env: cgi.NewEnviron("REQUEST_METHOD=POST", "REQUEST_URI=/x", "HTTP_HOST=localhost", "EMPTY=", "ESCAPE=\x1b[1m"),
				Fields: []cgi.Field{{Name: "X-One", Value: "1"}},
				Body:   &Body{strings.NewReader("body"), 4}, Output: &output, Stderr: &messages,
			})
			if err != nil || result.Code != 200 || output.String() != "hello" || result.Bytes != 5 {
				t.Errorf("%+v, %q, %v", result, output.String(), err)
			}
			if fcgi := tt.protocol == FastCGI; fcgi && (messages.String() != "\x1b[1m" || result.AppStatus != 3) {
				t.Errorf("messages %q, status %d", messages.String(), result.AppStatus)
			}
			if !(0 < result.Connect && result.Connect <= result.FirstByte && result.FirstByte <= result.Total) {
				t.Errorf("times: %+v", result)
			}
			file := filepath.Join("testdata", "trace."+strings.ToLower(string(tt.protocol)))
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(string(want), trace.String()); d != "" {
				t.Errorf("%s (-want +got):\n%s", file, d)
			}
		})
	}
}

// TestTraceInPieces: how the bytes come makes no difference.
func TestTraceInPieces(t *testing.T) {
	long := strings.Repeat("x", 200_000)
	pairs := record.AppendPair(record.AppendPair(nil, "NAME", "value"), "LONG", long)
	sent := record.AppendRecord(record.AppendStream(record.AppendBegin(nil, 1, record.Responder, 0), record.Params, 1, pairs), record.Params, 1, nil)
	whole, pieces := (&records{}).decode(sent), ""
	r := &records{}
	for i := range sent {
		pieces += r.decode(sent[i : i+1])
	}
	if whole != pieces || !strings.Contains(whole, "    LONG="+long+"\n") || strings.Count(whole, "\n") < 60 {
		t.Errorf("%d and %d bytes", len(whole), len(pieces))
	}
	if got := r.decode([]byte{1, 5, 0, 1}) + r.end(); got != "a record breaks off after 4 bytes\n    00000000  01 05 00 01                                       |....|\n" {
		t.Errorf("broken off: %q", got)
	}
	if got := (&records{}).decode([]byte("HTTP/1.1 400")); got != "no record: its version is 72\n    00000000  48 54 54 50 2f 31 2e 31  20 34 30 30              |HTTP/1.1 400|\n" {
		t.Errorf("HTTP: %q", got)
	}
}

// TestNoResponse: what is no complete response is an error that says what to do.
func TestNoResponse(t *testing.T) {
	const head = "Content-Type: text/plain\r\n\r\n"
	for _, tt := range []struct {
		protocol    Protocol
		reply, want string
	}{
		{FastCGI, "", "it closed the connection without a response: does it speak FastCGI, and may this client connect?"},
		{FastCGI, "HTTP/1.1 400 Bad Request\r\n\r\n", `what listens there does not speak FastCGI: it sent "HTTP/1.1 400 Bad"; this is HTTP: use --http`},
		{FastCGI, stdout(head + "half"), "the response is truncated after 4 bytes of its body"},
		{FastCGI, stdout("Content-Length: 5\n"+head+"half") + ended(0, 0), "the response is truncated after 4 bytes of its body: its Content-Length is 5"},
		{FastCGI, ended(0, record.Overloaded), "FCGI_OVERLOADED"},
		{FastCGI, stdout("no head") + ended(0, 0), "no head"},
		{SCGI, "", "it closed the connection without a response: does it speak SCGI, and may this client connect?"},
		{SCGI, "Content-Type: text", "the response is truncated within its head"},
		{SCGI, "Content-Length: 5\n" + head + "half", "the response is truncated after 4 bytes of its body: its Content-Length is 5"},
		{HTTP, "", "it closed the connection without a response: does it speak HTTP, and may this client connect?"},
		{HTTP, stdout(head), "this is FastCGI: use --fastcgi"},
		{HTTP, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhalf", "the response is truncated after 4 bytes of its body: unexpected EOF"},
	} {
		target := Target{Protocol: tt.protocol, Address: application(t, map[Protocol]string{FastCGI: endOfStdin, SCGI: ",", HTTP: "\r\n\r\n"}[tt.protocol], tt.reply)}
		_, err := target.Do(t.Context(), &Request{Method: "GET", Env: cgi.NewEnviron("REQUEST_URI=/", "HTTP_HOST=localhost")})
		if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.HasPrefix(err.Error(), target.Address.String()+": ") {
			t.Errorf("%s, %.30q: %v; want %s", tt.protocol, tt.reply, err, tt.want)
		}
	}
}

// TestEarlyResponse: a response that comes before a long body has been taken is read.
func TestEarlyResponse(t *testing.T) {
	for protocol, reply := range map[Protocol]string{
		FastCGI: stdout("Status: 413 Too Large\n\n") + ended(0, 0),
		SCGI:    "Status: 413 Too Large\n\n",
		HTTP:    "HTTP/1.1 413 Too Large\r\n\r\n",
	} {
		l := testkit.Listen(t, "unix")
		var conn net.Conn
		done := make(chan struct{})
		go func() {
			defer close(done)
			conn, _ = l.Accept()
			io.WriteString(conn, reply)
			if c, ok := conn.(*net.UnixConn); ok && protocol != FastCGI {
				c.CloseWrite()
			}
		}()
		target := Target{Protocol: protocol, Address: backend.Address{Network: "unix", Address: l.Addr().String()}}
		result, err := target.Do(t.Context(), &Request{Method: "POST", Env: cgi.NewEnviron("REQUEST_URI=/"), Body: &Body{endless{}, 1 << 40}})
		if err != nil || result.Code != 413 {
			t.Errorf("%s: %+v, %v", protocol, result, err)
		}
		<-done
		conn.Close()
	}
}

type endless struct{}

func (endless) ReadAt(p []byte, _ int64) (int, error) { return len(p), nil }

// TestUnreadableBody: a body that cannot be read is no request.
func TestUnreadableBody(t *testing.T) {
	for _, protocol := range []Protocol{FastCGI, SCGI, HTTP} {
		for _, size := range []int64{4, 1 << 20} {
			target := Target{Protocol: protocol, Address: application(t, "never", "")}
			_, err := target.Do(t.Context(), &Request{Method: "POST", Env: cgi.NewEnviron("REQUEST_URI=/"), Body: &Body{broken{}, size}})
			if !errors.Is(err, errDisk) {
				t.Errorf("%s, %d bytes: %v", protocol, size, err)
			}
		}
	}
}

var errDisk = errors.New("disk failure")

type broken struct{}

func (broken) ReadAt([]byte, int64) (int, error) { return 0, errDisk }

// TestTimeout: it is that of the whole request, and its error says how far that came.
func TestTimeout(t *testing.T) {
	l := testkit.Listen(t, "unix") // nobody accepts
	target := Target{Protocol: FastCGI, Address: backend.Address{Network: "unix", Address: l.Addr().String()}, Timeout: time.Millisecond}
	_, err := target.Do(t.Context(), &Request{Method: "GET", Env: cgi.NewEnviron("A=b")})
	if want := fmt.Sprintf("%s: no complete response within 1ms (--timeout); ", target.Address); err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("%v; want %s", err, want)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("by a signal"))
	if _, err := target.Do(ctx, &Request{Method: "GET", Env: cgi.NewEnviron("A=b")}); err == nil || !strings.Contains(err.Error(), "by a signal") {
		t.Errorf("cancelled: %v", err)
	}
}

// TestLoad: its figures, and what becomes of failures.
func TestLoad(t *testing.T) {
	target := Target{Protocol: SCGI, Address: application(t, ",", "Content-Type: text/plain\n\nhello")}
	l := target.Load(t.Context(), &Request{Method: "GET", Env: cgi.NewEnviron("A=b")}, 20, 3)
	if len(l.Times) != 20 || l.Statuses[200] != 20 || l.Bytes != 100 || l.Failed != 0 {
		t.Errorf("%+v", l)
	}
	l = &Load{Took: 2 * time.Second, Statuses: make(map[int]int), Reasons: make(map[string]int)}
	for i := range 200 {
		l.add(Result{Code: 200 + i%2*304, Bytes: 1, Total: time.Duration(i+1) * time.Millisecond}, nil)
	}
	for i := range maxReasons + 5 {
		l.add(Result{}, fmt.Errorf("reason %02d", i))
	}
	var got strings.Builder
	if err := l.WriteText(&got); err != nil {
		t.Fatal(err)
	}
	want := `requests    215 in 2000.00 ms, 100/s
time        median 100.00 ms, 99 % within 198.00 ms, longest 200.00 ms
received    200 bytes of bodies
status 200  100
status 504  100
failed      15
    5: other errors
`
	for i := range maxReasons {
		want += fmt.Sprintf("    1: reason %02d\n", i)
	}
	if d := cmp.Diff(want, got.String()); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}
