package validate

import (
	"strings"
	"sync"
	"testing"

	"gatehouse/cgi"
	"gatehouse/cgi/cgitest"
	"gatehouse/internal/testkit"
)

// A stderrSink takes what is said beside an answer.
type stderrSink struct {
	cgitest.Recorder
	said testkit.Log
}

func (s *stderrSink) WriteStderr(p []byte) error {
	_, err := s.said.Write(p)
	return err
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
	if said := len(s.said.String()); res.Err != nil || said != 100 || s.Body.String() != strings.Repeat("y", 100) {
		t.Errorf("%v, %d bytes said, %q", res.Err, said, s.Body.String())
	}
}
