//go:build linux

package main

import (
	"bytes"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"gatehouse/fastcgi/record"
)

// A load is what a side is given: a number of clients, each of which sends its
// next request when it has the answer to the last.
type load struct {
	connections int
	keep        bool   // keep the connections
	filename    string // SCRIPT_FILENAME; "" for none
}

func (l load) script(filename string) load {
	l.filename = filename
	return l
}

// request is what nginx sends with its stock parameters and a common browser.
func (l load) request() []byte {
	vars := [][2]string{
		{"QUERY_STRING", "a=1&b=two"}, {"REQUEST_METHOD", "GET"}, {"CONTENT_TYPE", ""}, {"CONTENT_LENGTH", ""},
		{"SCRIPT_NAME", "/hello"}, {"REQUEST_URI", "/hello?a=1&b=two"}, {"DOCUMENT_URI", "/hello"}, {"DOCUMENT_ROOT", "/var/www/html"},
		{"SERVER_PROTOCOL", "HTTP/1.1"}, {"REQUEST_SCHEME", "http"}, {"GATEWAY_INTERFACE", "CGI/1.1"}, {"SERVER_SOFTWARE", "nginx/1.22.1"},
		{"REMOTE_ADDR", "127.0.0.1"}, {"REMOTE_PORT", "45678"}, {"SERVER_ADDR", "127.0.0.1"}, {"SERVER_PORT", "80"},
		{"SERVER_NAME", "www.example.test"}, {"REDIRECT_STATUS", "200"}, {"HTTP_HOST", "www.example.test"},
		{"HTTP_USER_AGENT", "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"},
		{"HTTP_ACCEPT", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"},
		{"HTTP_ACCEPT_LANGUAGE", "en-US,en;q=0.5"}, {"HTTP_ACCEPT_ENCODING", "gzip, deflate"}, {"HTTP_COOKIE", "session=0123456789abcdef"},
	}
	if l.filename != "" {
		vars = append(vars, [2]string{"SCRIPT_FILENAME", l.filename})
	} else {
		vars = append(vars, [2]string{"SCRIPT_FILENAME", "/var/www/html/hello"})
	}
	var pairs []byte
	for _, v := range vars {
		pairs = record.AppendPair(pairs, v[0], v[1])
	}
	var flags byte
	if l.keep {
		flags = record.KeepConn
	}
	b := record.AppendBegin(nil, 1, record.Responder, flags)
	b = record.AppendStream(b, record.Params, 1, pairs)
	b = record.AppendHeader(b, record.Params, 1, 0, 0)
	return record.AppendHeader(b, record.Stdin, 1, 0, 0)
}

// run puts the load on the socket for a time, and returns the requests per second.
func (l load) run(socket string, length time.Duration) (float64, error) {
	var count atomic.Int64
	var stop atomic.Bool
	var wg sync.WaitGroup
	errs := make(chan error, l.connections)
	request := l.request()
	start := time.Now()
	for range l.connections {
		wg.Go(func() {
			n, err := l.client(socket, request, &stop)
			count.Add(n)
			if err != nil {
				errs <- err
			}
		})
	}
	time.Sleep(length)
	stop.Store(true)
	wg.Wait()
	elapsed := time.Since(start)
	select {
	case err := <-errs:
		return 0, err
	default:
		return float64(count.Load()) / elapsed.Seconds(), nil
	}
}

// client sends requests until stop, and returns how many were answered.
func (l load) client(socket string, request []byte, stop *atomic.Bool) (n int64, err error) {
	var c net.Conn
	var r *record.Reader
	defer func() {
		if c != nil {
			c.Close()
		}
	}()
	for !stop.Load() {
		if c == nil {
			if c, err = net.Dial("unix", socket); err != nil {
				return n, err
			}
			c.SetDeadline(time.Now().Add(time.Minute))
			r = record.NewReader(c)
		}
		if _, err := c.Write(request); err != nil {
			return n, err
		}
		if err := readAnswer(r); err != nil {
			return n, err
		}
		n++
		if !l.keep {
			c.Close()
			c = nil
		}
	}
	return n, nil
}

// readAnswer reads an answer to its end, and checks that it is the one that is
// wanted: speed with wrong answers is no speed.
func readAnswer(r *record.Reader) error {
	found := false
	for {
		h, content, err := r.Next()
		if err != nil {
			return err
		}
		switch h.Type() {
		case record.Stdout:
			found = found || bytes.HasSuffix(content, []byte("hello world\n"))
		case record.EndRequest:
			if !found {
				return fmt.Errorf("the answer is not hello world")
			}
			return nil
		}
	}
}
