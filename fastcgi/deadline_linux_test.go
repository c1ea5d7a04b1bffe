package fastcgi

import (
	"errors"
	"io"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"gatehouse/cgi"
	"gatehouse/internal/frontend"
	"gatehouse/internal/testkit"
)

// Deadlines hold for what is moved between pipe and socket.
func TestPipeDeadlines(t *testing.T) {
	read, sent := make(chan error, 1), make(chan error, 1)
	ts := serve(t, "unix", &Server{App: cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
		p := newPipe(t, 1<<20)
		defer p.close()
		body, ok := r.Body.(frontend.PipeBody)
		if !ok {
			return errors.New("the body cannot be moved to a pipe")
		}
		cgi.SetReadDeadline(w, moment())
		for {
			if _, err := body.ReadPipe(p.w, 1<<20); err != nil {
				read <- err
				break
			}
		}
		p.take()
		cgi.EnableFullDuplex(w)
		w.StartResponse("200 OK", nil)
		part := make([]byte, 512<<10)
		for {
			if _, err := unix.Write(p.w, part); err != nil {
				return err
			}
			cgi.SetWriteDeadline(w, moment())
			if _, err := cgi.SendPipe(w, p.r, len(part)); err != nil {
				sent <- err
				return err
			}
		}
	})})
	c := ts.dial()
	c.send(begin(1, 1), params(1, "REQUEST_METHOD=POST", "CONTENT_LENGTH=10"), stdin(1, "01234"))
	isLate(t, "ReadPipe", testkit.Receive(t, "the read deadline", read))
	isLate(t, "SendPipe", testkit.Receive(t, "the write deadline", sent)) // the peer takes nothing
	c.SetReadDeadline(time.Now().Add(testkit.Patience))
	if _, err := io.Copy(io.Discard, c.Conn); err != nil {
		t.Errorf("the connection was not closed: %v", err)
	}
}
