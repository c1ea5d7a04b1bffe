package deploy_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"gatehouse/cgi"
)

// ending is a way in which an answer breaks off.
type ending struct {
	name string
	part int          // bytes of the body that are sent before
	post int          // bytes that the client posts
	read bool         // the application reads them
	held bool         // the application does not flush
	end  func() error // what it does at last
}

var errBroken = errors.New("the test breaks this answer off")

func fail() error    { return errBroken }
func succeed() error { return nil }

// kill ends this process, which therefore has to be a CGI program.
func kill() error { return unix.Kill(unix.Getpid(), unix.SIGKILL) }

const tooShort = "too short"

var endings = []ending{
	{name: "error", part: 5, end: fail},
	{name: "late error", part: 300 << 10, end: fail},
	{name: "error, body read", part: 5, post: 100 << 10, read: true, end: fail},
	{name: "error, body unread", part: 5, post: 100 << 10, end: fail},
	{name: "panic", part: 5, end: func() error { panic(errBroken) }},
	{name: "http.ErrAbortHandler", part: 5, end: func() error { panic(http.ErrAbortHandler) }},
	{name: tooShort, part: 5, end: succeed},
	{name: tooShort + ", held", part: 5, held: true, end: succeed},
	{name: "killed", part: 5, end: kill},
}

// body is the body of the whole answer: twice as much as what is sent of it.
func (e ending) body() string { return strings.Repeat("0123456789", e.part/5) }

// answer is what a request asks for in its query.
type answer struct {
	ending
	length   bool // it has a Content-Length
	streamed bool // nginx is told not to buffer it
	whole    bool // it does not break off after all: the control

	// arrived, if not nil, is called by the client when it has the part.
	arrived func()
}

// options are the names of the flags in a query.
func (a *answer) options() map[string]*bool {
	return map[string]*bool{"length": &a.length, "streamed": &a.streamed, "whole": &a.whole}
}

func (a answer) query() string {
	values := url.Values{"ending": {a.name}}
	for name, set := range a.options() {
		if *set {
			values.Set(name, "yes")
		}
	}
	return values.Encode()
}

func parseAnswer(query string) (a answer, err error) {
	values, err := url.ParseQuery(query)
	for name, set := range a.options() {
		*set = values.Has(name)
	}
	for _, a.ending = range endings {
		if a.name == values.Get("ending") {
			return a, err
		}
	}
	return a, fmt.Errorf("no ending is called %q", values.Get("ending"))
}

// answers is an application that gives the answers that it is asked for.
type answers struct {
	// killed, if not nil, is a program that gives the answer of the ending with
	// this name, in place of this process.
	killed cgi.App

	// flushed, if not nil, is called between the part and the break.
	flushed func() error
}

func (s answers) ServeCGI(w cgi.ResponseWriter, r *cgi.Request) error {
	a, err := parseAnswer(r.Env.Get("QUERY_STRING"))
	if err != nil {
		return &cgi.StatusError{Code: http.StatusBadRequest, Err: err}
	}
	if a.name == "killed" && s.killed != nil {
		return s.killed.ServeCGI(w, r)
	}
	if a.read {
		if n, err := io.Copy(io.Discard, r.Body); int(n) != a.post || err != nil {
			return fmt.Errorf("read %d bytes of %d: %w", n, a.post, err)
		}
	}
	body := a.body()
	fields := []cgi.Field{{Name: "Content-Type", Value: "application/octet-stream"}}
	if a.length {
		fields = append(fields, cgi.Field{Name: "Content-Length", Value: strconv.Itoa(len(body))})
	}
	if a.streamed {
		fields = append(fields, cgi.Field{Name: "X-Accel-Buffering", Value: "no"})
	}
	if err := w.StartResponse("200 OK", fields); err != nil {
		return err
	}
	if _, err := io.WriteString(w, body[:a.part]); err != nil {
		return err
	}
	if !a.held {
		if err := w.Flush(); err != nil {
			return err
		}
	}
	if !a.whole {
		if s.flushed != nil {
			if err := s.flushed(); err != nil {
				return err
			}
		}
		return a.end()
	}
	_, err = io.WriteString(w, body[a.part:])
	return err
}
