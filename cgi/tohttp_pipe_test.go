package cgi

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
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
