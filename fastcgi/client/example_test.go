package client_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"

	"gatehouse/cgi"
	"gatehouse/fastcgi"
	"gatehouse/fastcgi/client"
	"gatehouse/fastcgi/record"
)

// start serves an application, and returns where, and what ends it.
func start(s *fastcgi.Server) (address string, stop func()) {
	dir, err := os.MkdirTemp("", "client-")
	if err != nil {
		log.Fatal(err)
	}
	address = filepath.Join(dir, "s")
	s.Log = slog.New(slog.DiscardHandler)
	l, err := net.Listen("unix", address)
	if err != nil {
		log.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.Serve(l)
	}()
	return address, func() {
		s.Close()
		<-done
		os.RemoveAll(dir)
	}
}

// Two requests on one connection.
func Example() {
	address, stop := start(&fastcgi.Server{App: cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
		if err := w.StartResponse("200 OK", []cgi.Field{{Name: "Content-Type", Value: "text/plain"}}); err != nil {
			return err
		}
		fmt.Fprintf(w, "%s: ", r.Env.Get("REQUEST_METHOD"))
		_, err := io.Copy(w, r.Body)
		return err
	})})
	defer stop()

	ctx := context.Background()
	c, err := client.Dial(ctx, "unix", address)
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	for _, text := range []string{"first", "second"} {
		env := cgi.NewEnviron("REQUEST_METHOD=POST", fmt.Sprint("CONTENT_LENGTH=", len(text)))
		resp, err := c.Do(ctx, &client.Request{Params: env.All(), Stdin: strings.NewReader(text), KeepConn: true})
		if err != nil {
			log.Fatal(err)
		}
		body, err := io.ReadAll(resp)
		resp.Close()
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(resp.Head.Status, resp.Head.Fields[0].Value)
		fmt.Printf("%s\n", body)
	}
	// Output:
	// 200 OK text/plain
	// POST: first
	// 200 OK text/plain
	// POST: second
}

// An application that does not play a role says so.
func ExampleEndError() {
	address, stop := start(&fastcgi.Server{App: cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error { return nil })})
	defer stop()
	ctx := context.Background()
	c, err := client.Dial(ctx, "unix", address)
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	_, err = c.Do(ctx, &client.Request{Role: record.Authorizer, KeepConn: true})
	var end *client.EndError
	if errors.As(err, &end) {
		fmt.Println(end.End.ProtocolStatus)
	}
	fmt.Println(c.Err()) // the connection is good
	// Output:
	// FCGI_UNKNOWN_ROLE
	// <nil>
}

// What an application can do, it says before it is asked for anything else.
func ExampleConn_GetValues() {
	address, stop := start(&fastcgi.Server{App: cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error { return nil })})
	defer stop()
	ctx := context.Background()
	c, err := client.Dial(ctx, "unix", address)
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	values, err := c.GetValues(ctx, client.MpxsConns)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("multiplexes:", values[client.MpxsConns] == "1")
	// Output:
	// multiplexes: true
}

// Records are sent and read one by one.
func ExampleConn_ReadRecord() {
	address, stop := start(&fastcgi.Server{App: cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
		return w.StartResponse("204 No Content", nil)
	})})
	defer stop()
	ctx := context.Background()
	c, err := client.Dial(ctx, "unix", address)
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	request := record.AppendBegin(nil, 7, record.Responder, 0)
	request = record.AppendRecord(request, record.Params, 7, nil)
	request = record.AppendRecord(request, record.Stdin, 7, nil)
	if err := c.Send(ctx, request); err != nil {
		log.Fatal(err)
	}
	for {
		h, content, err := c.ReadRecord(ctx)
		if err == io.EOF {
			break
		}
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%v, id %d: %d bytes and %d of padding\n", h.Type(), h.ID(), len(content), h.PaddingLength())
	}
	// Output:
	// FCGI_STDOUT, id 7: 26 bytes and 0 of padding
	// FCGI_STDOUT, id 7: 0 bytes and 0 of padding
	// FCGI_END_REQUEST, id 7: 8 bytes and 0 of padding
}
