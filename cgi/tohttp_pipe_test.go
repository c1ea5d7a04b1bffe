package cgi

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"
)

// Over connections that move nothing, and behind a middleware, a pipe is left alone.
func TestToHTTPSendPipe(t *testing.T) {
	type plain struct{ http.ResponseWriter }
	for name, wrap := range map[string]func(http.Handler) http.Handler{
		"net/http": func(h http.Handler) http.Handler { return h },
		"a middleware": func(h http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { h.ServeHTTP(plain{w}, r) })
		},
		"one with ReadFrom": func(h http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { h.ServeHTTP(swallower{w}, r) })
		},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(wrap(ToHTTP(AppFunc(func(w ResponseWriter, r *Request) error {
				pr, pw, err := os.Pipe()
				if err != nil {
					return err
				}
				defer pr.Close()
				io.WriteString(pw, "from a pipe")
				pw.Close()
				if err := w.StartResponse("200 OK", []Field{{"Content-Length", "11"}}); err != nil {
					return err
				}
				if n, err := SendPipe(w, int(pr.Fd()), 11); n != 0 || !errors.Is(err, http.ErrNotSupported) {
					t.Errorf("SendPipe = %d, %v", n, err)
				}
				_, err = io.Copy(w, pr)
				return err
			}))))
			defer server.Close()
			if got := raw(t, server.URL, getAndClose); !strings.HasSuffix(got, "\r\n\r\nfrom a pipe") {
				t.Errorf("got %q", got)
			}
		})
	}
}

// A swallower is a writer with a ReadFrom that returns no error.
type swallower struct{ http.ResponseWriter }

func (s swallower) ReadFrom(r io.Reader) (int64, error) {
	n, _ := io.Copy(s.ResponseWriter, r)
	return n, nil
}

// A pieceTaker takes what it is given, and is interrupted behind its first piece.
type pieceTaker struct {
	deadlineRecorder
	header http.Header
	sink   *httpSink
	taken  []int
}

func (p *pieceTaker) Header() http.Header { return p.header }

func (p *pieceTaker) ReadFrom(r io.Reader) (int64, error) {
	_, n := r.(*pipeSource).Pipe()
	p.taken = append(p.taken, n)
	p.sink.InterruptWrite()
	return int64(n), nil
}

// What is interrupted between two pieces of a pipe does not wait for the client again.
func TestToHTTPSendPipeInterrupted(t *testing.T) {
	w := &pieceTaker{header: http.Header{"Content-Length": {"1000000"}}}
	w.sink = &httpSink{w: w, control: http.NewResponseController(w), write: time.Minute}
	for range 2 { // the end of the first is not that of the second
		w.taken = nil
		if n, err := w.sink.SendPipe(-1, 200_000); n != pipePiece || !errors.Is(err, os.ErrDeadlineExceeded) || len(w.taken) != 1 {
			t.Errorf("SendPipe = %d, %v, of pieces of %d bytes", n, err, w.taken)
		}
	}
}
