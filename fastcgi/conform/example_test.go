package conform_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"time"

	"gatehouse/cgi"
	"gatehouse/fastcgi"
	"gatehouse/fastcgi/conform"
)

func ExampleTarget_Run() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	log := slog.New(slog.DiscardHandler)
	s := &fastcgi.Server{Log: log, Handler: &cgi.Handler{Log: log}, App: cgi.FromHTTP(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "hello world\n")
	}))}
	ended := make(chan struct{})
	go func() {
		s.Serve(l)
		close(ended)
	}()
	defer func() {
		s.Close()
		<-ended
	}()

	target := conform.Target{Network: "tcp", Address: l.Addr().String(), Timeout: time.Minute}
	report, err := target.Run(context.Background())
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, r := range report.Results[:3] {
		fmt.Println(r.ID, r.Outcome)
	}
	fmt.Println(report.Failed, "fail")
	// Output:
	// F1a pass
	// F1b pass
	// F1c pass
	// 0 fail
}
