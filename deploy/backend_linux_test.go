package deploy_test

import (
	"errors"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"gatehouse/cgi"
	"gatehouse/cgi/script"
	"gatehouse/fastcgi"
	"gatehouse/scgi"
)

// counter is a listener that counts the connections it accepts.
type counter struct {
	net.Listener
	accepted atomic.Int64
}

func (c *counter) Accept() (net.Conn, error) {
	conn, err := c.Listener.Accept()
	if err == nil {
		c.accepted.Add(1)
	}
	return conn, err
}

// backends are front-ends of the library in this process, by "protocol/network".
type backends map[string]*counter

// startBackends serves FastCGI, SCGI and HTTP at the addresses that the files in
// testdata/truncation name. The application is answers.
func startBackends(t *testing.T) backends {
	t.Helper()
	return startBackendsWith(t, nil)
}

// startBackendsWith does that; flushed, if not nil, is called before each break.
func startBackendsWith(t *testing.T, flushed func() error) backends {
	t.Helper()
	const dir = "/run/truncation"
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	quiet := slog.New(slog.DiscardHandler)
	app := answers{killed: killedProgram(t, quiet), flushed: flushed}
	handler := &cgi.Handler{Log: quiet}

	listeners := make(backends)
	for protocol, s := range map[string]struct {
		port   string
		server frontEnd
	}{
		"fastcgi": {"9001", &fastcgi.Server{App: app, Handler: handler, Log: quiet}},
		"scgi":    {"9002", &scgi.Server{App: app, Handler: handler, Log: quiet}},
		"http":    {"9003", &http.Server{Handler: handler.HTTP(app, cgi.Limits{})}},
	} {
		for network, address := range map[string]string{
			"unix": filepath.Join(dir, protocol+".sock"),
			"tcp":  net.JoinHostPort("127.0.0.1", s.port),
		} {
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
			listeners[protocol+"/"+network] = counted
			served := make(chan error, 1)
			go func() { served <- s.server.Serve(counted) }()
			t.Cleanup(func() {
				s.server.Close()
				if err := <-served; !errors.Is(err, http.ErrServerClosed) {
					t.Errorf("%s: %v", counted.Addr(), err)
				}
			})
		}
	}
	return listeners
}

// killedProgram returns an application that runs testdata/truncation/killed, and
// lets it go on when the beginning of its answer has been sent.
func killedProgram(t *testing.T, log *slog.Logger) cgi.App {
	t.Helper()
	const dir = "/srv/truncation"
	install(t, "testdata/truncation/killed", filepath.Join(dir, "killed"), 0o755)
	flushed := fifo(t, filepath.Join(dir, "flushed"))
	programs := &script.App{Roots: []string{dir}, Log: log}
	t.Cleanup(func() {
		if err := programs.Close(); err != nil {
			t.Error(err)
		}
	})
	return cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
		r.Env.Set("SCRIPT_FILENAME", filepath.Join(dir, "killed"))
		a, err := parseAnswer(r.Env.Get("QUERY_STRING"))
		if err == nil && !a.whole {
			w = &flushWatch{ResponseWriter: w, flushed: func() error {
				_, err := flushed.WriteString("\n")
				return err
			}}
		}
		return programs.ServeCGI(w, r)
	})
}

// flushWatch calls flushed after the first Flush.
type flushWatch struct {
	cgi.ResponseWriter
	flushed func() error
	once    sync.Once
}

func (w *flushWatch) Flush() error {
	err := w.ResponseWriter.Flush()
	w.once.Do(func() { err = errors.Join(err, w.flushed()) })
	return err
}

// frontEnd is what the servers of the library and of net/http have in common.
type frontEnd interface {
	Serve(net.Listener) error
	Close() error
}
