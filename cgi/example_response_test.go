package cgi_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"time"

	"gatehouse/cgi"
)

// A page that fails half-way. What was written so far has not left yet, and is thrown
// away.
func ExampleReplaceResponse() {
	app := cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
		if err := w.StartResponse("200 OK", plain); err != nil {
			return err
		}
		io.WriteString(w, "The answer is ")
		if err := errors.New("nobody knows the question"); err != nil {
			if err := cgi.ReplaceResponse(w, err, "503 Service Unavailable", plain); err != nil {
				return err
			}
			io.WriteString(w, "Ask again in seven and a half million years.")
		}
		return nil
	})
	get(cgi.ToHTTP(app), "/")
	// Output: 503 Ask again in seven and a half million years.
}

// After the head nothing can be replaced: the cause comes back, to be returned, so that
// the client sees that the answer broke off.
func ExampleHeadersSent() {
	app := cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
		if err := w.StartResponse("200 OK", plain); err != nil {
			return err
		}
		io.WriteString(w, "the first part\n")
		fmt.Println(cgi.HeadersSent(w))
		if err := w.Flush(); err != nil {
			return err
		}
		fmt.Println(cgi.HeadersSent(w))
		err := cgi.ReplaceResponse(w, errors.New("out of paper"), "500 Oops", nil)
		fmt.Println(err, errors.Is(err, cgi.ErrHeadersSent))
		return err
	})
	show(quiet(), app)
	// Output:
	// false
	// true
	// cgi: the head of the response has been sent already: out of paper true
	// Status: 200 OK
	// Content-Type: text/plain
	//
	// the first part
	// exit status 1
}

// An application that answers each line while the client still sends.
func ExampleEnableFullDuplex() {
	echo := cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
		if err := cgi.EnableFullDuplex(w); err != nil {
			return err
		}
		if err := w.StartResponse("200 OK", plain); err != nil {
			return err
		}
		lines := bufio.NewScanner(r.Body)
		for lines.Scan() {
			fmt.Fprintln(w, strings.ToUpper(lines.Text()))
			if err := w.Flush(); err != nil {
				return err
			}
		}
		return lines.Err()
	})
	server := httptest.NewServer(cgi.ToHTTP(echo))
	defer server.Close()

	body, client := io.Pipe()
	go fmt.Fprintln(client, "anybody there?")
	resp, err := http.Post(server.URL, "text/plain", body)
	if err != nil {
		log.Fatal(err)
	}
	defer resp.Body.Close()
	answers := bufio.NewScanner(resp.Body)
	answers.Scan()
	fmt.Println(answers.Text())
	fmt.Fprintln(client, "good bye")
	client.Close()
	answers.Scan()
	fmt.Println(answers.Text())
	// Output:
	// ANYBODY THERE?
	// GOOD BYE
}

// A CGI program, or an application behind FastCGI, tells how it went.
func ExampleSetExitStatus() {
	app := cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
		cgi.SetExitStatus(w, 3)
		return w.StartResponse("204 No Content", nil)
	})
	show(quiet(), app)
	// Output:
	// Status: 204 No Content
	// exit status 3
}

// A client that sends nothing is not waited for longer than the application likes.
// Here the time is over already.
func ExampleSetReadDeadline() {
	app := cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
		if err := cgi.SetReadDeadline(w, time.Now().Add(-time.Second)); err != nil {
			return err
		}
		if _, err := io.ReadAll(r.Body); err != nil {
			return &cgi.StatusError{Code: http.StatusRequestTimeout, Err: err}
		}
		return w.StartResponse("200 OK", nil)
	})
	server := httptest.NewServer(quiet().HTTP(app, cgi.Limits{}))
	defer server.Close()

	body, client := io.Pipe()
	defer client.Close()
	resp, err := http.Post(server.URL, "text/plain", body)
	if err != nil {
		log.Fatal(err)
	}
	defer resp.Body.Close()
	fmt.Println(resp.Status)
	// Output: 408 Request Timeout
}

// Early hints, ahead of an answer that takes its time. Where the protocol has no
// informational responses there is nothing to do.
func ExampleWriteInformational() {
	app := cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
		hints := []cgi.Field{{Name: "Link", Value: "</style.css>; rel=preload; as=style"}}
		if err := cgi.WriteInformational(w, 103, hints); err != nil && !errors.Is(err, http.ErrNotSupported) {
			return err
		}
		if err := w.StartResponse("200 OK", plain); err != nil {
			return err
		}
		_, err := io.WriteString(w, "the page\n")
		return err
	})
	server := httptest.NewServer(cgi.ToHTTP(app))
	defer server.Close()

	trace := &httptrace.ClientTrace{Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
		fmt.Println(code, h.Get("Link"))
		return nil
	}}
	req, err := http.NewRequestWithContext(httptrace.WithClientTrace(context.Background(), trace), "GET", server.URL, nil)
	if err != nil {
		log.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		log.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	fmt.Printf("%s %s%v\n", resp.Status, text, err)
	show(quiet(), app)
	// Output:
	// 103 </style.css>; rel=preload; as=style
	// 200 OK the page
	// <nil>
	// Status: 200 OK
	// Content-Type: text/plain
	// Content-Length: 9
	//
	// the page
}

// What is refused, and how to tell.
func ExampleResponseWriter() {
	app := cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
		_, err := io.WriteString(w, "too early")
		fmt.Println(errors.Is(err, cgi.ErrNoStart), err)
		err = w.StartResponse("200 OK", []cgi.Field{{Name: "Content-Length", Value: "4"}})
		fmt.Println(err)
		err = w.StartResponse("200 OK", nil)
		fmt.Println(errors.Is(err, cgi.ErrHeadersSet), err)
		n, err := io.WriteString(w, "more than four")
		fmt.Println(n, errors.Is(err, cgi.ErrContentLength), err)
		return nil
	})
	show(quiet(), app)
	// Output:
	// true cgi: write before the response was started
	// <nil>
	// true cgi: the response has been started already
	// 4 true cgi: body does not have the declared Content-Length: 4 bytes declared, more written
	// Status: 200 OK
	// Content-Length: 4
	//
	// more
}
