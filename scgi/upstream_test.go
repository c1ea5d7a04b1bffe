package scgi

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"gatehouse/cgi"
	"gatehouse/cgi/cgitest"
	"gatehouse/internal/testkit"
)

// runClient runs a Client for a request to the application at addr.
func runClient(t *testing.T, l ClientLimits, addr net.Addr, r *cgi.Request) (*cgitest.Recorder, string) {
	t.Helper()
	address := addr.String()
	if addr.Network() == "unix" {
		address = "unix:" + address
	}
	var log testkit.Log
	c := &Client{Addresses: []string{address}, Limits: l, Env: []string{"OWN=1"}, Log: log.Logger()}
	defer c.Close()
	var got cgitest.Recorder
	(&cgi.Handler{Log: log.Logger()}).Run(r, &got, c)
	if n := c.Load().Running; n != 0 {
		t.Errorf("%d connections are counted as in use", n)
	}
	return &got, log.String()
}

func clientRequest(body io.Reader, length int64, vars ...string) *cgi.Request {
	r := cgitest.NewRequest(cgi.NewEnviron(vars...))
	if body != nil {
		r.Body, r.ContentLength = body, length
	}
	return r
}

// TestClientServerName: SERVER_NAME and SERVER_PORT are never empty, whatever the web server sends.
func TestClientServerName(t *testing.T) {
	s := serve(t, "unix", &Server{App: cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
		w.StartResponse("200 OK", nil)
		_, err := fmt.Fprint(w, r.Env.Get("SERVER_NAME"), " ", r.Env.Get("SERVER_PORT"))
		return err
	})})
	got, log := runClient(t, ClientLimits{}, s.addr, clientRequest(nil, 0, "SERVER_NAME=", "SERVER_PORT=443", "HTTP_HOST=www.example.test"))
	if got.Body.String() != "www.example.test 443" {
		t.Errorf("got %q\n%s", got.Body.String(), log)
	}
}

// TestClientRequestID: REQUEST_ID is the id in the log, and the trace passes unchanged.
func TestClientRequestID(t *testing.T) {
	const trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	s := serve(t, "unix", &Server{App: cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
		w.StartResponse("200 OK", nil)
		_, err := fmt.Fprint(w, r.Env.Get("REQUEST_ID"), " ", r.Env.Get("HTTP_TRACEPARENT"), " ", r.Env.Get("HTTP_TRACESTATE"))
		return err
	})})
	r := clientRequest(nil, 0, "REQUEST_ID=claimed", "HTTP_TRACEPARENT="+trace, "HTTP_TRACESTATE=a=b")
	got, log := runClient(t, ClientLimits{}, s.addr, r)
	if want := r.RequestID() + " " + trace + " a=b"; r.RequestID() == "" || got.Body.String() != want {
		t.Errorf("got %q; want %q\n%s", got.Body.String(), want, log)
	}
}

// TestClientBodies passes bodies on, and back.
func TestClientBodies(t *testing.T) {
	for _, network := range []string{"unix", "tcp"} {
		s := serve(t, network, &Server{App: cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
			body, err := io.ReadAll(r.Body)
			if err != nil {
				return err
			}
			w.StartResponse("200 OK", []cgi.Field{{Name: "X-Sent", Value: fmt.Sprint(r.Env.Get("CONTENT_LENGTH"), r.Env.Get("HTTP_PROXY"), r.Env.Get("OWN"))}})
			_, err = w.Write(body)
			return err
		})})
		for _, n := range []int{0, 1, 8 << 10, 8<<10 + 1, 1 << 20} {
			for _, known := range []bool{true, false} {
				text := strings.Repeat("0123456789abcdef", n/16+1)[:n]
				length := int64(n)
				if !known {
					length = -1
				}
				got, log := runClient(t, ClientLimits{}, s.addr, clientRequest(strings.NewReader(text), length, "HTTP_PROXY=x"))
				if got.Head.Code != 200 || got.Body.String() != text || got.Field("X-Sent") != fmt.Sprint(n, "1") || got.Outcome.End != cgi.Complete {
					t.Errorf("%s, %d bytes: status %d, %d bytes, %v\n%s", network, n, got.Head.Code, got.Body.Len(), got.Head.Fields, log)
				}
			}
		}
	}
}

// TestClientFailures: whatever an application does, the client gets a response, or one that
// it can see is truncated.
func TestClientFailures(t *testing.T) {
	long := strings.Repeat("x", 100_000)
	silent := ClientLimits{FirstByte: 50 * time.Millisecond}
	endless := struct{ io.Reader }{zeros{}}
	tests := []struct {
		name   string
		limits ClientLimits
		body   io.Reader
		length int64
		serve  func(c net.Conn)
		status int
		end    cgi.End
		log    string
	}{
		{"hello", ClientLimits{}, nil, 0, func(c net.Conn) { io.WriteString(c, "Status: 200 OK\r\n\r\nhello") }, 200, cgi.Complete, ""},
		{"a status line", ClientLimits{}, nil, 0, func(c net.Conn) { io.WriteString(c, "HTTP/1.1 404 Not Found\r\n\r\n") }, 404, cgi.Complete, ""},
		{"early, while the body comes", ClientLimits{}, endless, 1 << 40, func(c net.Conn) {
			io.WriteString(c, "Status: 413 Too Large\r\n\r\n")
			c.(*net.TCPConn).CloseWrite() // a reset would be a truncated response
			io.Copy(io.Discard, c)
		}, 413, cgi.Complete, ""},
		{"nothing", ClientLimits{}, nil, 0, func(c net.Conn) {}, 502, cgi.Complete, "no head"},
		{"garbage", ClientLimits{}, nil, 0, func(c net.Conn) { io.WriteString(c, "\x01\x06\x00\x01\r\n\r\n") }, 502, cgi.Complete, "bad head"},
		{"short", ClientLimits{}, nil, 0, func(c net.Conn) { io.WriteString(c, "Content-Length: 200000\r\n\r\n"+long) }, 200, cgi.Truncated, "Content-Length"},
		{"reset", ClientLimits{}, nil, 0, func(c net.Conn) {
			io.WriteString(c, "Status: 200 OK\r\n\r\n"+long)
			c.(*net.TCPConn).SetLinger(0)
		}, 200, cgi.Truncated, "reading its output"},
		{"silence", silent, nil, 0, func(c net.Conn) { io.Copy(io.Discard, c) }, 504, cgi.Complete, "first_byte of 50ms is over"},
		{"a body that breaks off", ClientLimits{}, io.LimitReader(zeros{}, 100_000), 200_000, func(c net.Conn) { io.Copy(io.Discard, c) }, 400, cgi.Complete, "EOF"},
		{"a body that nobody reads", ClientLimits{Silence: 50 * time.Millisecond}, endless, 1 << 40, nil, 504, cgi.Complete, "silence of 50ms is over"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			l := testkit.Listen(t, "tcp")
			served, done := make(chan struct{}), make(chan struct{})
			go func() {
				defer close(served)
				c, err := l.Accept()
				if err != nil {
					return
				}
				defer c.Close()
				if tt.body == nil {
					readHead(c)
				}
				if tt.serve == nil {
					<-done
					return
				}
				tt.serve(c)
			}()
			body := tt.body
			if body != nil {
				body = io.MultiReader(body, failing{})
			}
			got, log := runClient(t, tt.limits, l.Addr(), clientRequest(body, tt.length))
			if got.Head.Code != tt.status || got.Outcome.End != tt.end || !strings.Contains(log, tt.log) {
				t.Errorf("status %d, %v; want %d, %v, and %q in the log\n%s", got.Head.Code, got.Outcome.End, tt.status, tt.end, tt.log, log)
			}
			close(done)
			l.Close()
			<-served
		})
	}
}

// A zeros reader has no end.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

// A failing reader is the rest of a body that breaks off.
type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// readHead reads the netstring of a request.
func readHead(c net.Conn) {
	var all []byte
	var b [4096]byte
	for {
		n, err := c.Read(b[:])
		all = append(all, b[:n]...)
		if _, _, perr := ParseNetstring(all, 1<<20); perr == nil || err != nil {
			return
		}
	}
}

// TestClientCancelled: when the client leaves, the connection is closed.
func TestClientCancelled(t *testing.T) {
	l := testkit.Listen(t, "unix")
	left := errors.New("the client has left")
	ctx, cancel := context.WithCancelCause(t.Context())
	served := make(chan error, 1)
	go func() {
		c, err := l.Accept()
		if err != nil {
			served <- err
			return
		}
		defer c.Close()
		readHead(c)
		cancel(left)
		_, err = io.Copy(io.Discard, c)
		served <- err
	}()
	r := clientRequest(nil, 0)
	r.SetContext(ctx)
	if got, log := runClient(t, ClientLimits{}, l.Addr(), r); !strings.Contains(log, left.Error()) {
		t.Errorf("status %d\n%s", got.Head.Code, log)
	}
	if err := testkit.Receive(t, "the end of the connection", served); err != nil {
		t.Error(err)
	}
}

// TestClientRefuses: roles that SCGI does not know, and what cannot be sent.
func TestClientRefuses(t *testing.T) {
	l := testkit.Listen(t, "unix")
	r := clientRequest(nil, 0)
	r.Role = cgi.Authorizer
	if got, log := runClient(t, ClientLimits{}, l.Addr(), r); got.Head.Code != http.StatusInternalServerError || !strings.Contains(log, "cannot be a") {
		t.Errorf("status %d\n%s", got.Head.Code, log)
	}
	if err := new(Client).Prepare(); err == nil || !strings.Contains(err.Error(), "scgi: no address") {
		t.Errorf("error %v", err)
	}
}

// TestClientSlowBodies: a request whose body has not come does not keep another one from the
// only connection.
func TestClientSlowBodies(t *testing.T) {
	s := serve(t, "unix", &Server{App: cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
		w.StartResponse("200 OK", nil)
		_, err := io.Copy(w, r.Body)
		return err
	})})
	c := &Client{Addresses: []string{"unix:" + s.addr.String()}, Limits: ClientLimits{Connections: 1}, Log: slog.New(slog.DiscardHandler)}
	defer c.Close()
	h := &cgi.Handler{Log: c.Log}
	const length = 2 * cgi.BodyAhead
	text := strings.Repeat("0123456789abcdef", length/16)
	body, more := io.Pipe()
	slow := make(chan string, 1)
	go func() {
		var got cgitest.Recorder
		h.Run(clientRequest(body, length), &got, c)
		slow <- got.Body.String()
	}()
	io.WriteString(more, text[:cgi.BodyAhead-1])
	var got cgitest.Recorder
	if h.Run(clientRequest(strings.NewReader("quick"), 5), &got, c); got.Body.String() != "quick" {
		t.Errorf("status %d, %q", got.Head.Code, got.Body.String())
	}
	io.WriteString(more, text[cgi.BodyAhead-1:])
	more.Close()
	if got := testkit.Receive(t, "the slow response", slow); got != text {
		t.Errorf("%d bytes, want %d", len(got), length)
	}
}
