package client

import (
	"bytes"
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"gatehouse/fastcgi/record"
	"gatehouse/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// A script is a connection to an application that sends what it sends, whatever it is
// sent.
type script struct {
	net.Conn // nil: no other method is called
	in       io.Reader
	mu       sync.Mutex
	out      bytes.Buffer
	closed   bool
}

func (s *script) Read(p []byte) (int, error) { return s.in.Read(p) }

func (s *script) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.out.Write(p)
}

func (s *script) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return errors.New("closed twice")
	}
	s.closed = true
	return nil
}

func (s *script) SetReadDeadline(time.Time) error  { return nil }
func (s *script) SetWriteDeadline(time.Time) error { return nil }

// written returns what has been sent.
func (s *script) written() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.out.String()
}

// scripted returns a Conn on which those bytes come.
func scripted(parts ...string) (*Conn, *script) {
	var in bytes.Buffer
	for _, p := range parts {
		in.WriteString(p)
	}
	s := &script{in: &in}
	return New(s), s
}

// The records of a response.
func stdout(id uint16, data string) string {
	return string(record.AppendRecord(nil, record.Stdout, id, []byte(data)))
}

func stderr(id uint16, data string) string {
	return string(record.AppendRecord(nil, record.Stderr, id, []byte(data)))
}

func ended(id uint16, status uint32, ps record.ProtocolStatus) string {
	return string(record.AppendEndRequest(nil, id, status, ps))
}

// hello is a whole response.
func hello(id uint16) string {
	return stdout(id, "Content-Type: text/plain\r\n\r\nhello") + stdout(id, "") + ended(id, 0, record.RequestComplete)
}

// A far is the application's side of a connection, played by the test.
type far struct {
	t testing.TB
	net.Conn
	records *record.Reader
}

// pipe returns the two sides of a connection on which a write waits for its reader.
func pipe(t testing.TB) (*Conn, *far) {
	near, there := net.Pipe()
	c := New(near)
	t.Cleanup(func() {
		c.Close()
		there.Close()
	})
	return c, &far{t, there, record.NewReader(there)}
}

// until reads records until one of that type has come for that id, and returns its
// content.
func (f *far) until(typ record.Type, id uint16) string {
	f.t.Helper()
	for {
		h, content, err := f.records.Next()
		if err != nil {
			f.t.Errorf("no %v record for id %d: %v", typ, id, err)
			return ""
		}
		if h.Type() == typ && h.ID() == id {
			return string(content)
		}
	}
}

// send sends records. It does not fail: the other side may have seen enough.
func (f *far) send(parts ...string) {
	for _, p := range parts {
		io.WriteString(f.Conn, p)
	}
}

// meanwhile runs f, and returns what waits for it.
func meanwhile(f func()) (wait func()) {
	var g sync.WaitGroup
	g.Go(f)
	return g.Wait
}

// body reads a response to its end.
func body(t testing.TB, r *Response) string {
	t.Helper()
	b, err := io.ReadAll(r)
	if err != nil {
		t.Errorf("body: %v", err)
	}
	return string(b)
}
