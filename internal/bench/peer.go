//go:build linux

package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/fcgi"
	"os"
	"strconv"
	"strings"

	"gatehouse/cgi"
	"gatehouse/fastcgi"
)

// The environment of this program when it runs as a side.
const (
	sideVariable   = "GATEHOUSE_BENCH_SIDE"   // its server and its application
	socketVariable = "GATEHOUSE_BENCH_SOCKET" // where to listen
	sizeVariable   = "GATEHOUSE_BENCH_SIZE"   // length of large responses, in bytes

	programVariable = "GATEHOUSE_BENCH_PROGRAM" // to run, or the socket to pass requests on to
)

// The servers that this program can be.
const (
	ourApp     = "App"
	ourHandler = "http.Handler"
	netFCGI    = "net/http/fcgi"
	bareLoop   = "bare loop"
	bareHop    = "bare hop"
	execLoop   = "bare fork/exec loop"
	spliceLoop = "bare splice loop"
)

// The applications that each of them can have.
const (
	hello  = "hello"  // sends helloText
	sender = "sender" // sends many bytes
	reader = "reader" // sends the length of the request's body
)

// The protocols of a splice loop, in place of an application.
const (
	overFastCGI = "FastCGI"
	overSCGI    = "SCGI"
)

const helloText = "hello world\n"

// serveSide runs this program as a side.
func serveSide(name string) error {
	server, application, _ := strings.Cut(name, ":")
	size, err := strconv.Atoi(os.Getenv(sizeVariable))
	if err != nil {
		return err
	}
	socket := os.Getenv(socketVariable)
	if err := serveAllocations(socket); err != nil {
		return err
	}
	l, err := net.Listen("unix", socket)
	if err != nil {
		return err
	}
	switch server {
	case ourApp:
		s := &fastcgi.Server{App: app(application, size)}
		return s.Serve(l)
	case ourHandler:
		return fastcgi.Serve(l, handler(application, size))
	case netFCGI:
		return fcgi.Serve(l, handler(application, size))
	case bareLoop:
		return serveBare(l, application, size)
	case bareHop:
		return serveBareHop(l, os.Getenv(programVariable))
	case execLoop:
		return serveExec(l, os.Getenv(programVariable))
	case spliceLoop:
		return serveSplice(l, application, os.Getenv(programVariable), size)
	}
	return fmt.Errorf("there is no side %q", name)
}

// app returns an application as an App.
func app(application string, size int) cgi.App {
	fields := []cgi.Field{{Name: "Content-Type", Value: "text/plain"}}
	text, data := []byte(helloText), block()
	return cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
		n := 0
		if application == reader {
			var err error
			if n, err = count(r.Body); err != nil {
				return err
			}
		}
		if err := w.StartResponse("200 OK", fields); err != nil {
			return err
		}
		switch application {
		case sender:
			return repeat(w, data, size)
		case reader:
			_, err := fmt.Fprintln(w, n)
			return err
		}
		_, err := w.Write(text)
		return err
	})
}

// handler returns an application as an http.Handler.
func handler(application string, size int) http.Handler {
	text, data := []byte(helloText), block()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		switch application {
		case sender:
			if repeat(w, data, size) != nil {
				panic(http.ErrAbortHandler)
			}
		case reader:
			n, err := count(r.Body)
			if err != nil {
				panic(http.ErrAbortHandler)
			}
			fmt.Fprintln(w, n)
		default:
			w.Write(text)
		}
	})
}

// repeat writes size bytes, repeating one block.
func repeat(w io.Writer, block []byte, size int) error {
	for size > 0 {
		n, err := w.Write(block[:min(size, len(block))])
		if err != nil {
			return err
		}
		size -= n
	}
	return nil
}

// count reads to the end and returns the number of bytes.
func count(r io.Reader) (int, error) {
	buf, total := make([]byte, blockLen), 0
	for {
		n, err := r.Read(buf)
		total += n
		if err == io.EOF {
			return total, nil
		}
		if err != nil {
			return total, err
		}
	}
}
