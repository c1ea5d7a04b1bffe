//go:build linux

package fastcgi

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"gatehouse/cgi"
	"gatehouse/fastcgi/record"
	"gatehouse/internal/frontend"
	"gatehouse/internal/testkit"
)

// A testPipe is a pipe whose ends do not block.
type testPipe struct{ r, w int }

func newPipe(t testing.TB, size int) testPipe {
	t.Helper()
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		t.Fatal(err)
	}
	if _, err := unix.FcntlInt(uintptr(fds[0]), unix.F_SETPIPE_SZ, size); err != nil {
		t.Fatal(err)
	}
	return testPipe{fds[0], fds[1]}
}

func (p testPipe) close() {
	unix.Close(p.r)
	unix.Close(p.w)
}

// take reads what stands in the pipe.
func (p testPipe) take() (all []byte) {
	var buf [32 << 10]byte
	for {
		n, err := unix.Read(p.r, buf[:])
		if n <= 0 || err != nil {
			return all
		}
		all = append(all, buf[:n]...)
	}
}

// noise is bytes that tell their place.
func noise(n int) []byte {
	b := make([]byte, n)
	r := rand.NewChaCha8([32]byte{1})
	r.Read(b)
	return b
}

// throughPipe answers with what ReadPipe moved to a pipe, and counts how it came.
func throughPipe(t testing.TB, moved *int64) cgi.AppFunc {
	return func(w cgi.ResponseWriter, r *cgi.Request) error {
		p := newPipe(t, 64<<10)
		defer p.close()
		body, ok := r.Body.(frontend.PipeBody)
		if !ok {
			return errors.New("the body cannot be moved to a pipe")
		}
		var got []byte
		buf := make([]byte, 1000)
		for {
			n, err := body.ReadPipe(p.w, 1<<30)
			*moved += n
			switch {
			case errors.Is(err, frontend.ErrPipeFull):
				got = append(got, p.take()...)
				continue
			case err == nil:
				continue
			case errors.Is(err, http.ErrNotSupported):
				var m int
				m, err = r.Body.Read(buf)
				got = append(append(got, p.take()...), buf[:m]...)
			}
			if err == io.EOF {
				got = append(got, p.take()...)
				break
			}
			if err != nil {
				return err
			}
		}
		if err := w.StartResponse("200 OK", nil); err != nil {
			return err
		}
		_, err := w.Write(got)
		return err
	}
}

// TestReadPipe: a body that is moved to a pipe is the body, whatever its records are.
func TestReadPipe(t *testing.T) {
	for _, size := range []int{1, 7, 8 << 10, 16 << 10, 32 << 10, record.MaxAligned, record.MaxContent} {
		for _, padding := range []int{0, 1, 255} {
			t.Run(strconv.Itoa(size)+" and "+strconv.Itoa(padding), func(t *testing.T) {
				body := noise(min(size*40, 1<<20))
				var moved int64
				s := serve(t, "unix", &Server{App: throughPipe(t, &moved)}).dial()
				var records []byte
				for rest := body; len(rest) > 0; {
					part := rest[:min(size, len(rest))]
					rest = rest[len(part):]
					records = record.AppendHeader(records, record.Stdin, 1, len(part), padding)
					records = append(append(records, part...), make([]byte, padding)...)
				}
				for range 2 {
					go s.Write(bytes.Join([][]byte{begin(1, record.KeepConn), params(1, "CONTENT_LENGTH="+strconv.Itoa(len(body))), records, endStdin(1)}, nil))
					a := s.answer(1)
					if got := bodyOf(t, a); sha256.Sum256([]byte(got)) != sha256.Sum256(body) {
						t.Fatalf("%d bytes came of %d: %.80q", len(got), len(body), got)
					}
				}
				if moved == 0 {
					t.Error("nothing was moved")
				}
			})
		}
	}
}

// TestReadPipeEnds: what Read says of a body's end, ReadPipe says.
func TestReadPipeEnds(t *testing.T) {
	for _, c := range []struct {
		name, length, body, status string
	}{
		{"short", "9", "body", "Status: 500 "},
		{"long", "2", "body", "Status: 200 OK\r\nContent-Length: 2\r\n\r\nbo"},
		{"unknown", "", "body", "Status: 200 OK\r\nContent-Length: 4\r\n\r\nbody"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var moved int64
			s := serve(t, "unix", &Server{App: throughPipe(t, &moved)}).dial()
			s.send(begin(1, record.KeepConn), params(1, "CONTENT_LENGTH="+c.length), stdin(1, c.body), endStdin(1))
			if a := s.answer(1); !strings.HasPrefix(a.stdout, c.status) {
				t.Errorf("answer %q, want %q", a.stdout, c.status)
			}
			s.send(get(1, 0))
			s.answer(1)
		})
	}
}

// TestReadPipeWithoutReader: a program that reads no more of its body is no fault of
// the web server's.
func TestReadPipeWithoutReader(t *testing.T) {
	moves := func(w cgi.ResponseWriter, r *cgi.Request) error {
		p := newPipe(t, 64<<10)
		defer unix.Close(p.w)
		body := r.Body.(frontend.PipeBody)
		if n, err := body.ReadPipe(p.w, 0); n != 0 || err != nil {
			return errors.New("something was moved of nothing")
		}
		// What is buffered goes first; then bytes go from the socket to the pipe.
		for moved := int64(0); moved < 40_000; {
			n, err := body.ReadPipe(p.w, 20_000)
			if err != nil {
				return err
			}
			moved += n
		}
		unix.Close(p.r)
		for {
			if n, err := body.ReadPipe(p.w, 20_000); errors.Is(err, unix.EPIPE) {
				return hello(w, r)
			} else if n > 0 || err != nil {
				return errors.New("no EPIPE")
			}
		}
	}
	s := serve(t, "unix", &Server{App: cgi.AppFunc(moves)}).dial()
	for range 2 {
		go s.Write(post(1, record.KeepConn, strings.Repeat("x", 200_000)))
		if a := s.answer(1); a.stdout != helloAnswer {
			t.Errorf("got %q", a.stdout)
		}
	}
}

// TestSendPipe: an answer that is moved from a pipe is framed as any other.
func TestSendPipe(t *testing.T) {
	for _, network := range []string{"unix", "tcp"} {
		t.Run(network, func(t *testing.T) {
			part := noise(200 << 10)
			app := cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
				p := newPipe(t, 1<<20)
				defer p.close()
				if err := w.StartResponse("200 OK", nil); err != nil {
					return err
				}
				if _, err := io.WriteString(w, "first,"); err != nil {
					return err
				}
				for range 5 {
					if _, err := unix.Write(p.w, part); err != nil {
						return os.NewSyscallError("write", err)
					}
					n, err := cgi.SendPipe(w, p.r, len(part))
					if err != nil || n != len(part) {
						return errors.New("SendPipe took " + strconv.Itoa(n) + " bytes")
					}
					if _, err := io.WriteString(w, ",next,"); err != nil {
						return err
					}
				}
				return nil
			})
			s := serve(t, network, &Server{App: app}).dial()
			want := "first," + strings.Repeat(string(part)+",next,", 5)
			for range 2 {
				s.send(get(1, record.KeepConn))
				a := s.answer(1)
				if got := bodyOf(t, a); got != want || a.end != (record.End{}) {
					t.Fatalf("%d bytes, want %d", len(got), len(want))
				}
			}
		})
	}
}

// TestSendPipeRules: what may not be sent stays in the pipe.
func TestSendPipeRules(t *testing.T) {
	for _, c := range []struct {
		name, method, status string
		fields               []cgi.Field
		taken                int
		want                 string
	}{
		{"HEAD", "HEAD", "200 OK", nil, 0, "Status: 200 OK\r\n\r\n"},
		{"204", "GET", "204 No Content", nil, 0, "Status: 204 No Content\r\n\r\n"},
		{"a length", "GET", "200 OK", []cgi.Field{{Name: "Content-Length", Value: "4"}}, 4, "Status: 200 OK\r\nContent-Length: 4\r\n\r\n0123"},
		{"no head", "GET", "", nil, 0, "Status: 500 "},
	} {
		t.Run(c.name, func(t *testing.T) {
			taken := make(chan int, 1)
			app := cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
				p := newPipe(t, 64<<10)
				defer p.close()
				unix.Write(p.w, []byte("0123456789"))
				if c.status != "" {
					if err := w.StartResponse(c.status, c.fields); err != nil {
						return err
					}
				}
				n, err := cgi.SendPipe(w, p.r, 10)
				taken <- n
				if n+len(p.take()) != 10 {
					return errors.New("bytes were lost")
				}
				if errors.Is(err, http.ErrNotSupported) {
					return nil
				}
				return err
			})
			s := serve(t, "unix", &Server{App: app}).dial()
			s.send(get(1, 0, "REQUEST_METHOD="+c.method))
			a := s.answer(1)
			if n := testkit.Receive(t, "SendPipe", taken); n != c.taken || !strings.HasPrefix(a.stdout, c.want) {
				t.Errorf("%d bytes taken, answer %q", n, a.stdout)
			}
		})
	}
}

// TestSendPipeWithoutHead: nothing stands before an answer to HTTP/0.9.
func TestSendPipeWithoutHead(t *testing.T) {
	app := cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
		p := newPipe(t, 64<<10)
		defer p.close()
		unix.Write(p.w, []byte("0123456789"))
		if err := w.StartResponse("200 OK", nil); err != nil {
			return err
		}
		_, err := cgi.SendPipe(w, p.r, 10)
		return err
	})
	s := serve(t, "unix", &Server{App: app, Handler: &cgi.Handler{OriginServer: true}}).dial()
	s.send(get(1, 0, "SERVER_PROTOCOL=HTTP/0.9"))
	if a := s.answer(1); a.stdout != "0123456789" {
		t.Errorf("got %q", a.stdout)
	}
}
