package deploy_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"gatehouse/cgi"
	"gatehouse/fastcgi"
)

// exercise is an application with a page for each thing that web servers ask of
// one. The query names the page.
type exercise struct {
	begun   chan string   // gets the name of each page that waits
	ended   chan error    // gets why its wait ended
	release chan struct{} // lets the pages called "held" go on
}

func newExercise() *exercise {
	return &exercise{begun: make(chan string, 100), ended: make(chan error, 100), release: make(chan struct{})}
}

func (e *exercise) ServeCGI(w cgi.ResponseWriter, r *cgi.Request) error {
	query, err := url.ParseQuery(r.Env.Get("QUERY_STRING"))
	if err != nil {
		return err
	}
	number, _ := strconv.Atoi(query.Get("n"))
	switch page := query.Get("page"); page {
	case "echo": // the body
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return err
		}
		return e.answer(w, "200 OK", body)
	case "large": // n bytes, in small pieces
		if err := e.answer(w, "200 OK", nil); err != nil {
			return err
		}
		return writeLarge(w, number)
	case "refused": // an answer that does not wait for the body
		return e.answer(w, "413 Content Too Large", []byte("too large\n"))
	case "status": // n, without a body
		return w.StartResponse(fmt.Sprintf("%d Status", number), []cgi.Field{{Name: "X-Page", Value: "status"}})
	case "sendfile": // a field that means something to web servers
		return w.StartResponse("200 OK", []cgi.Field{{Name: "X-Sendfile", Value: "/etc/hostname"}, {Name: "X-LIGHTTPD-send-file", Value: "/etc/hostname"}})
	case "exit": // the exit status n
		cgi.SetExitStatus(w, number)
		return e.answer(w, "200 OK", []byte("exit\n"))
	case "fields": // those of the request that are called X-Long-N
		var fields []cgi.Field
		for name, value := range r.Env.All() {
			if n, ok := strings.CutPrefix(name, "HTTP_X_LONG_"); ok {
				fields = append(fields, cgi.Field{Name: "X-Long-" + n, Value: value})
			}
		}
		return w.StartResponse("200 OK", fields)
	case "variable": // what an authorizer has set
		return e.answer(w, "200 OK", []byte(r.Env.Get("GUARD")))
	case "upload": // how the reading of a body ends that does not come whole
		e.begun <- page
		_, err := io.Copy(io.Discard, r.Body)
		e.ended <- err
		return err
	case "silent": // why the request is cancelled, before there is an answer
		e.begun <- page
		<-r.Context().Done()
		e.ended <- context.Cause(r.Context())
		return context.Cause(r.Context())
	case "endless": // how an answer ends that nobody takes
		err := e.answer(w, "200 OK", nil)
		for err == nil {
			err = writeLarge(w, 1<<16)
		}
		e.ended <- err
		return err
	case "held": // the body, after the test has released it
		e.begun <- page
		select {
		case <-e.release:
		case <-r.Context().Done():
			return context.Cause(r.Context())
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return err
		}
		return e.answer(w, "200 OK", body)
	default:
		return &cgi.StatusError{Code: http.StatusNotFound, Err: fmt.Errorf("no page is called %q", page)}
	}
}

func (e *exercise) answer(w cgi.ResponseWriter, status string, body []byte) error {
	if err := w.StartResponse(status, []cgi.Field{{Name: "Content-Type", Value: "application/octet-stream"}}); err != nil {
		return err
	}
	_, err := w.Write(body)
	return err
}

// large is a body of n bytes.
func large(n int) string { return strings.Repeat("0123456789abcdef", n/16+1)[:n] }

func writeLarge(w io.Writer, n int) error {
	for piece := large(1 << 12); n > 0; n -= len(piece) {
		if _, err := io.WriteString(w, piece[:min(n, len(piece))]); err != nil {
			return err
		}
	}
	return nil
}

// The addresses that the files in testdata/fastcgi name. The socket is where
// HAProxy, in its chroot, reaches it.
const (
	exerciseSocket = "/var/lib/haproxy/exercise.sock"
	exercisePort   = "127.0.0.1:9001"
)

// startExercise serves e, and guard in the other role, by FastCGI at the addresses, in this process, and returns
// their listeners by network.
func startExercise(t *testing.T, e *exercise, addresses ...string) backends {
	t.Helper()
	quiet := slog.New(slog.DiscardHandler)
	listeners := make(backends)
	for _, address := range addresses {
		network := "tcp"
		if filepath.IsAbs(address) {
			network = "unix"
		}
		l, err := net.Listen(network, address)
		if err != nil {
			t.Fatal(err)
		}
		if network == "unix" {
			if err := os.Chmod(address, 0o666); err != nil {
				t.Fatal(err)
			}
		}
		counted := &counter{Listener: l}
		listeners[network] = counted
		server := &fastcgi.Server{App: e, Authorizer: guard, Handler: &cgi.Handler{Log: quiet}, Log: quiet}
		served := make(chan error, 1)
		go func() { served <- server.Serve(counted) }()
		t.Cleanup(func() {
			server.Close()
			if err := <-served; !errors.Is(err, http.ErrServerClosed) {
				t.Errorf("%s: %v", counted.Addr(), err)
			}
		})
	}
	return listeners
}
