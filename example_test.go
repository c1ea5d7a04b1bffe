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
	"syscall"
	"time"

	"gatehouse"
	"gatehouse/cgi"
)

// A program for any web server: FastCGI, SCGI, CGI or HTTP, as it was started.
func ExampleServe() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	page := func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "You asked for %s\n", r.URL.Path)
	}
	if err := gatehouse.Serve(ctx, http.HandlerFunc(page)); err != nil {
		var exit *cgi.ExitError
		if errors.As(err, &exit) {
			os.Exit(exit.Status)
		}
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// A stream of events ends when the client leaves, and as soon as the program is told to
// stop: a request's own context is cancelled only when Server.Drain has passed.
func ExampleServe_events() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	events := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for {
			select {
			case <-r.Context().Done():
				return
			case <-ctx.Done():
				return
			case now := <-tick.C:
				fmt.Fprintf(w, "data: %s\n\n", now.Format(time.TimeOnly))
				if http.NewResponseController(w).Flush() != nil {
					return
				}
			}
		}
	}
	if err := gatehouse.Serve(ctx, http.HandlerFunc(events)); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
}

// An application in terms of CGI, on a free port if it was started with nothing
// to serve on.
func ExampleServer() {
	app := cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
		if err := w.StartResponse("200 OK", []cgi.Field{{Name: "Content-Type", Value: "text/plain"}}); err != nil {
			return err
		}
		_, err := fmt.Fprintf(w, "%s opens\n", r.Env.Get("PATH_INFO"))
		return err
	})
	ctx, stop := context.WithCancel(context.Background())
	address := make(chan net.Addr, 1)
	server := &gatehouse.Server{
		App:       app,
		HTTP:      "127.0.0.1:0",
		Listening: func(a net.Addr) { address <- a },
		Log:       slog.New(slog.DiscardHandler),
	}
	go func() {
		defer stop()
		resp, err := http.Get(fmt.Sprintf("http://%v/gate", <-address))
		if err != nil {
			fmt.Println(err)
			return
		}
		defer resp.Body.Close()
		io.Copy(os.Stdout, resp.Body)
		http.DefaultClient.CloseIdleConnections()
	}()
	if err := server.Serve(ctx); err != nil {
		fmt.Println(err)
	}
	// Output: /gate opens
}
