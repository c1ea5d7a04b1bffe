package scgi

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"gatehouse/cgi"
)

// TestSendPipe: an answer that is moved from a pipe, and what is written beside it, come
// in their order.
func TestSendPipe(t *testing.T) {
	part := bytes.Repeat([]byte("0123456789abcdef"), 200<<10/16)
	app := cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
		var fds [2]int
		if err := unix.Pipe2(fds[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
			return err
		}
		defer unix.Close(fds[0])
		defer unix.Close(fds[1])
		if _, err := unix.FcntlInt(uintptr(fds[0]), unix.F_SETPIPE_SZ, 1<<20); err != nil {
			return err
		}
		if err := w.StartResponse("200 OK", nil); err != nil {
			return err
		}
		for range 5 {
			if _, err := io.WriteString(w, "next,"); err != nil {
				return err
			}
			if _, err := unix.Write(fds[1], part); err != nil {
				return err
			}
			n, err := cgi.SendPipe(w, fds[0], len(part))
			if err != nil {
				return err
			}
			if n != len(part) {
				return errors.New("SendPipe took too little")
			}
		}
		return nil
	})
	for _, network := range []string{"unix", "tcp"} {
		t.Run(network, func(t *testing.T) {
			c := serve(t, network, &Server{App: app}).dial(t)
			c.send(request("", "REQUEST_METHOD=GET"))
			all, err := io.ReadAll(c)
			if err != nil {
				t.Fatal(err)
			}
			_, body, _ := strings.Cut(string(all), "\r\n\r\n")
			if body != strings.Repeat("next,"+string(part), 5) {
				t.Errorf("%d bytes, want %d", len(body), 5*(5+len(part)))
			}
		})
	}
}
