package validate

import (
	"bytes"
	"strings"
	"sync"
	"testing"

	"gatehouse/cgi"
)

// A stderrSink takes an answer, and what is said beside it.
type stderrSink struct {
	mu   sync.Mutex
	said bytes.Buffer
	out  bytes.Buffer
}

func (s *stderrSink) WriteHead(*cgi.Head) error   { return nil }
func (s *stderrSink) Write(p []byte) (int, error) { return s.out.Write(p) }
func (s *stderrSink) Flush() error                { return nil }
func (s *stderrSink) Finish(cgi.Outcome) error    { return nil }
func (s *stderrSink) WriteStderr(p []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.said.Write(p)
	return nil
}

// TestWriteStderr: it passes the validator while the answer is being written, which
// breaks no rule.
func TestWriteStderr(t *testing.T) {
	app := cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
		var other sync.WaitGroup
		other.Go(func() {
			for range 100 {
				if err := cgi.WriteStderr(w, []byte("x")); err != nil {
					t.Error(err)
				}
			}
		})
		err := w.StartResponse("200 OK", []cgi.Field{{Name: "Content-Type", Value: "text/plain"}})
		for i := 0; i < 100 && err == nil; i++ {
			_, err = w.Write([]byte("y"))
		}
		other.Wait()
		return err
	})
	s := new(stderrSink)
	r := &cgi.Request{Env: cgi.NewEnviron("REQUEST_METHOD=GET", "SERVER_PROTOCOL=HTTP/1.1", "SERVER_NAME=a", "SERVER_PORT=80",
		"GATEWAY_INTERFACE=CGI/1.1", "QUERY_STRING=", "SCRIPT_NAME=/a", "REMOTE_ADDR=127.0.0.1", "SERVER_SOFTWARE=x"), Body: strings.NewReader("")}
	res := new(cgi.Handler).Run(r, s, &App{App: app})
	if res.Err != nil || s.said.Len() != 100 || s.out.String() != strings.Repeat("y", 100) {
		t.Errorf("%v, %d bytes said, %q", res.Err, s.said.Len(), s.out.String())
	}
}
