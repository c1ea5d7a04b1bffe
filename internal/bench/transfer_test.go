//go:build linux

package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"gatehouse/cgi"
)

// TestHTTPDownloads: which large responses to HTTP are right.
func TestHTTPDownloads(t *testing.T) {
	const size = 100_000
	data := string(bytes.Repeat(block(), 2)[:size])
	head := fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", size)
	for _, c := range []struct {
		response string
		whole    bool
		want     string // in the error
	}{
		{head + data, true, ""},
		{head + data[:size-1], false, ""},
		{head[:30], false, ""},
		{head + data + "x", false, "the response differs"},
		{head + data[1:] + "x", false, "the response differs"},
		{"HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n" + data, false, "of 99999 bytes"},
		{"HTTP/1.1 200 OK\r\n\r\n" + data, false, "of -1 bytes"},
		{"HTTP/1.1 404 Not Found\r\nContent-Length: 100000\r\n\r\n" + data, false, "404"},
		{"nonsense\r\n\r\n" + data, false, "malformed"},
	} {
		for _, split := range []int{len(c.response), 1, 40, 5000} {
			d := newDownload(-1, size)
			d.http = true
			var whole bool
			var err error
			for i := 0; i < len(c.response) && err == nil; i += split {
				_, whole, err = d.consume([]byte(c.response[i:min(i+split, len(c.response))]))
			}
			if whole != c.whole || (err != nil) != (c.want != "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("%.60q, %d bytes at a time: %v, %v; want %v, %q", c.response, split, whole, err, c.whole, c.want)
			}
		}
	}
}

// TestWrongResponsesToSlowClients: a side that sends something else to slow clients has no figure.
func TestWrongResponsesToSlowClients(t *testing.T) {
	const size = 300_000
	data := string(bytes.Repeat(block(), 5)[:size])
	for _, c := range []struct {
		name, sent, received, want string
	}{
		{"right", fmt.Sprintln(size), data, ""},
		{"a body cut short", fmt.Sprintln(size - 1), data, "the response is not"},
		{"a response cut short", fmt.Sprintln(size), data[1:], "the response differs"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := serve(t, func(w cgi.ResponseWriter, r *cgi.Request) error {
				text := helloText
				switch {
				case r.Env.Get("REQUEST_METHOD") == http.MethodPost:
					if _, err := io.Copy(io.Discard, r.Body); err != nil {
						return err
					}
					text = c.sent
				case strings.HasPrefix(r.Env.Get("QUERY_STRING"), "size="):
					text = c.received
				}
				if err := w.StartResponse("200 OK", nil); err != nil {
					return err
				}
				_, err := io.WriteString(w, text)
				return err
			}, false)
			b := beside{fast: load{connections: 1, latency: true, request: request{keep: true}}, slow: 4, size: size}
			figures, err := b.measure(r, 50*time.Millisecond)
			if (err != nil) != (c.want != "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("measure returned %v, %v; want %q", figures, err, c.want)
			}
		})
	}
}
