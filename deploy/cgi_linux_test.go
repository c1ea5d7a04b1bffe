package deploy_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"gatehouse"
	"gatehouse/cgi"
	"gatehouse/cgi/script"
)

// programs are what this test binary is under names other than its own: programs
// that Apache starts, by CGI, or by FastCGI (mod_fcgid).
var programs = map[string]func() error{
	"application": func() error {
		mux := new(cgi.Mux)
		err := errors.Join(
			mux.Mount("/application", cgi.FromHTTP(http.HandlerFunc(describe))),
			mux.Mount("/application/exercise", newExercise()),
			mux.Mount("/application/truncation", answers{flushed: awaitArrival}))
		if err != nil {
			return err
		}
		ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
		defer stop()
		return (&gatehouse.Server{App: mux}).Serve(ctx)
	},
	"guard": serveGuard,
	"git": func() error {
		const backend = "/usr/lib/git-core/git-http-backend"
		git := &script.App{Roots: []string{filepath.Dir(backend)}}
		defer git.Close()
		return cgi.ServeApp(cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
			r.Env.Set("SCRIPT_FILENAME", backend) // Apache's is this program
			return git.ServeCGI(w, r)
		}))
	},
}

// describe is a Go handler that says what it was asked for.
func describe(w http.ResponseWriter, r *http.Request) {
	r.ParseForm()
	w.Header().Set("Content-Type", "text/plain")
	fmt.Fprintf(w, "%s %s from %s\n", r.Method, r.URL.Path, cgi.ScriptName(r))
	fmt.Fprintf(w, "colour is %s, shape is %s\n", r.Form.Get("colour"), r.PostForm.Get("shape"))
}

// runProgram runs the program that this process was started as, if it is one, and
// ends with its exit status.
func runProgram() {
	program, ok := programs[filepath.Base(os.Args[0])]
	if !ok {
		return
	}
	status := 0
	if err := program(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		status = 1
		if exit, ok := errors.AsType[*cgi.ExitError](err); ok {
			status = exit.Status
		}
	}
	// The answer ends when nobody has the socket any more, and the race detector
	// takes a second to end a process.
	os.Stdin.Close()
	os.Stdout.Close()
	os.Exit(status)
}

// installTestProgram puts one of programs to where apache/cgi.conf expects it.
func installTestProgram(t *testing.T, name string) {
	t.Helper()
	if programs[name] == nil {
		t.Fatalf("no program is called %s", name)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	install(t, self, filepath.Join("/usr/local/lib/cgi-bin", name), 0o755)
}

// cgiFronts are Apache's modules that start programs: mod_cgid with a connected socket as
// their standard input, mod_cgi with a pipe.
var cgiFronts = []front{
	{"mod_cgid", startApache, "apache/cgi.conf"},
	{"mod_cgi", startApachePrefork, "apache/cgi.conf"},
}

// TestApplicationCGI reads pages of a Go handler that Apache starts as a CGI program.
func TestApplicationCGI(t *testing.T) {
	installTestProgram(t, "application")
	through(t, cgiFronts, func(t *testing.T, f front) {
		if modules := run(t, "/usr/sbin/apache2ctl", "-M"); !strings.Contains(modules, " "+strings.TrimPrefix(f.name, "mod_")+"_module ") {
			t.Fatalf("Apache has not loaded %s:\n%s", f.name, modules)
		}
		wantPage(t, "/application/an%20item?colour=blue", "text/plain",
			"GET /application/an item from /application\n", "colour is blue, shape is \n")

		request, err := http.NewRequest("POST", "http://localhost/application/?colour=red", strings.NewReader("shape=round"))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		want := "POST /application/ from /application\ncolour is red, shape is round\n"
		if got := get(t, request); got.status != http.StatusOK || got.body != want {
			t.Errorf("status %d, body %q; want 200 and %q", got.status, got.body, want)
		}
	})
}

// arrivals is a named pipe, through which a client tells a CGI program that the
// beginning of the answer has arrived.
const arrivals = "/srv/truncation/arrivals"

// awaitArrival waits for one line in arrivals.
func awaitArrival() error {
	pipe, err := os.Open(arrivals)
	if err != nil {
		return err
	}
	defer pipe.Close()
	_, err = io.ReadFull(pipe, make([]byte, 1))
	return err
}

// TestTruncationUnderCGI: under mod_cgid and mod_cgi the end of the output is the end of the
// answer, however the program ended. Only a Content-Length tells that it came too
// early, and only if Apache is told to pass it on, and has begun to do so before
// the end: of an answer that it has as a whole it counts the length itself.
func TestTruncationUnderCGI(t *testing.T) {
	installTestProgram(t, "application")
	through(t, []front{
		{"told", startApache, "apache/cgi.conf"},
		{"told, mod_cgi", startApachePrefork, "apache/cgi.conf"},
		{"not told", startApache, "testdata/truncation/apache.conf"},
	}, func(t *testing.T, f front) {
		pipe := fifo(t, arrivals)
		arrived := func() {
			if _, err := pipe.WriteString("\n"); err != nil {
				t.Error(err)
			}
		}
		for _, e := range endings {
			for _, a := range e.answers(false) {
				visible := a.length && f.name != "not told"
				if e.held {
					continue // nothing arrives before the end
				}
				if !visible && e.post > 0 {
					continue // unread bytes may reset the connection, which is seen
				}
				a.arrived = arrived
				t.Run(a.query(), func(t *testing.T) {
					const way = "/application/truncation"
					a.wantWhole(t, way)
					if visible {
						a.wantBroken(t, way)
					} else {
						a.wantUnnoticed(t, way)
					}
				})
			}
		}
	})
}
