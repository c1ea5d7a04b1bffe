package gatehouse_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"testing"

	"gatehouse"
	"gatehouse/cgi"
	"gatehouse/internal/testkit"
)

// TestMain runs the tests or, when the test binary has been started anew by one
// of them, is the program that a web server starts.
func TestMain(m *testing.M) {
	if os.Getenv("GATEHOUSE_TEST_PROGRAM") != "" {
		os.Exit(program())
	}
	testkit.Main(m)
}

// program serves a page that tells the path, and the method in a field. It prints
// where it listens to the descriptor in GATEHOUSE_TEST_PROGRAM.
func program() int {
	fd, err := strconv.Atoi(os.Getenv("GATEHOUSE_TEST_PROGRAM"))
	if err != nil {
		panic(err)
	}
	report := os.NewFile(uintptr(fd), "report")
	if os.Getenv("LISTEN_PID") == "self" {
		os.Setenv("LISTEN_PID", strconv.Itoa(os.Getpid()))
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	page := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Method", r.Method)
		body, err := io.ReadAll(r.Body)
		fmt.Fprintf(w, "path %s body %q %v\n", r.URL.Path, body, err)
	}
	s := &gatehouse.Server{
		App:       cgi.FromHTTP(http.HandlerFunc(page)),
		HTTP:      "127.0.0.1:0",
		Log:       slog.New(slog.NewTextHandler(report, nil)),
		Listening: func(a net.Addr) { fmt.Fprintln(report, a) },
	}
	err = s.Serve(ctx)
	var exit *cgi.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit):
		return exit.Status
	}
	fmt.Fprintln(report, err)
	return 1
}
