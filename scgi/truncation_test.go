package scgi

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"

	"gatehouse/cgi"
	"gatehouse/internal/testkit"
)

// TestG11TruncationIsVisible breaks answers off in every state that the request
// can be in: the peer must get ECONNRESET, and on unix, where nothing is lost by
// it, all that was written.
func TestG11TruncationIsVisible(t *testing.T) {
	broken := errors.New("broken")
	start := func(w cgi.ResponseWriter) error {
		if err := text(w, "part"); err != nil {
			return err
		}
		return w.Flush()
	}
	long := strings.Repeat("x", 100<<10)
	tests := []struct {
		name string
		in   []byte
		app  cgi.AppFunc
	}{
		{"no body", request(""), func(w cgi.ResponseWriter, r *cgi.Request) error {
			return errors.Join(start(w), broken)
		}},
		{"short body unread", request("hello"), func(w cgi.ResponseWriter, r *cgi.Request) error {
			return errors.Join(start(w), broken)
		}},
		{"short body read", request("hello"), func(w cgi.ResponseWriter, r *cgi.Request) error {
			io.ReadAll(r.Body)
			return errors.Join(start(w), broken)
		}},
		{"long body read", request(long), func(w cgi.ResponseWriter, r *cgi.Request) error {
			if b, err := io.ReadAll(r.Body); string(b) != long || err != nil {
				t.Errorf("body of %d bytes, error %v", len(b), err)
			}
			return errors.Join(start(w), broken)
		}},
		{"long body unread", request(long), func(w cgi.ResponseWriter, r *cgi.Request) error {
			return errors.Join(start(w), broken)
		}},
		{"long body read in part", request(long), func(w cgi.ResponseWriter, r *cgi.Request) error {
			io.ReadFull(r.Body, make([]byte, 50000))
			return errors.Join(start(w), broken)
		}},
		{"long head", request("", "A="+long), func(w cgi.ResponseWriter, r *cgi.Request) error {
			return errors.Join(start(w), broken)
		}},
		{"bytes beyond", append(request("hello"), "beyond"...), func(w cgi.ResponseWriter, r *cgi.Request) error {
			io.ReadAll(r.Body)
			return errors.Join(start(w), broken)
		}},
		{"shorter than its Content-Length", request(""), func(w cgi.ResponseWriter, r *cgi.Request) error {
			if err := w.StartResponse("200 OK", []cgi.Field{{Name: "Content-Length", Value: "9"}}); err != nil {
				return err
			}
			_, err := io.WriteString(w, "part")
			return err
		}},
		{"panic", request(""), func(w cgi.ResponseWriter, r *cgi.Request) error {
			start(w)
			panic("broken")
		}},
		{"http.ErrAbortHandler", request(""), func(w cgi.ResponseWriter, r *cgi.Request) error {
			start(w)
			panic(http.ErrAbortHandler)
		}},
	}
	each(t, func(t *testing.T, network string) {
		for _, tt := range tests {
			t.Run(tt.name, func(t *testing.T) {
				t.Parallel()
				s := serve(t, network, &Server{App: tt.app})
				c := s.dial(t)
				sent := make(chan struct{})
				go func() {
					defer close(sent)
					c.Write(tt.in)
				}()
				b, err := io.ReadAll(c)
				if !errors.Is(err, syscall.ECONNRESET) {
					t.Errorf("reading ended with %v, want ECONNRESET", err)
				}
				if network == "unix" && !strings.HasSuffix(string(b), "\r\n\r\npart") {
					t.Errorf("what was written came as %q", b)
				}
				<-sent
			})
		}
	})
}

// TestTruncationWaitsForAByte: a peer that has sent a part of its body and stops
// sees the truncation when it goes on.
func TestTruncationWaitsForAByte(t *testing.T) {
	running := make(chan struct{})
	s := serve(t, "unix", &Server{App: cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
		close(running)
		io.ReadFull(r.Body, make([]byte, 4))
		cgi.EnableFullDuplex(w)
		if err := text(w, "part"); err != nil {
			return err
		}
		w.Flush()
		return errors.New("broken")
	}), Limits: cgi.Limits{Linger: testkit.Patience}})
	c := s.dial(t).send(head("CONTENT_LENGTH=8", "SCGI=1"))
	testkit.Receive(t, "starting the application", running)
	c.send([]byte("1234"))
	b := make([]byte, 4096)
	n, err := c.Read(b)
	if err != nil || !strings.HasSuffix(string(b[:n]), "part") {
		t.Fatalf("%q, %v", b[:n], err)
	}
	c.send([]byte("5"))
	if _, err := c.Read(b); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("reading ended with %v, want ECONNRESET", err)
	}
}

// TestEarlyAnswerIsNotLost: the answer to a body that nobody reads arrives whole,
// and ends cleanly, while the peer sends all of it.
func TestEarlyAnswerIsNotLost(t *testing.T) {
	answer := strings.Repeat("a", 300<<10)
	body := strings.Repeat("b", 4<<20)
	each(t, func(t *testing.T, network string) {
		for _, app := range []cgi.AppFunc{
			func(w cgi.ResponseWriter, r *cgi.Request) error { return text(w, answer) },
			func(w cgi.ResponseWriter, r *cgi.Request) error {
				io.ReadFull(r.Body, make([]byte, 20000))
				return text(w, answer)
			},
		} {
			s := serve(t, network, &Server{App: app, Limits: cgi.Limits{Linger: testkit.Patience}})
			c := s.dial(t)
			sent := make(chan error, 1)
			go func() {
				_, err := c.Write(request(body))
				sent <- err
			}()
			wantBody(t, c.answer(), answer)
			if err := testkit.Receive(t, "sending the body", sent); err != nil {
				t.Errorf("sending the body: %v", err)
			}
		}
		s := serve(t, network, &Server{App: refuseToRun(t), Limits: cgi.Limits{BodyBytes: 100, Linger: testkit.Patience}})
		c := s.dial(t)
		sent := make(chan error, 1)
		go func() {
			_, err := c.Write(request(body))
			c.Conn.(interface{ CloseWrite() error }).CloseWrite()
			sent <- err
		}()
		wantStatus(t, c.answer(), "413 Request Entity Too Large")
		if err := testkit.Receive(t, "sending the body", sent); err != nil {
			t.Errorf("sending the body: %v", err)
		}
	})
}
