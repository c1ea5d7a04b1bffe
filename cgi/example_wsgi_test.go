package cgi_test

import (
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"os"
	"strconv"
	"strings"

	"gatehouse/cgi"
)

// show runs an application as a CGI program, and prints what the web server gets.
func show(h *cgi.Handler, a cgi.App, vars ...string) {
	var out strings.Builder
	program := cgi.Program{
		Handler: h,
		Env:     cgi.NewEnviron(append([]string{"REQUEST_METHOD=GET"}, vars...)...),
		Stdin:   strings.NewReader("a line of the body\n"),
		Stdout:  &out,
	}
	err := program.Serve(a)
	fmt.Println(strings.TrimSpace(strings.ReplaceAll(out.String(), "\r\n", "\n")))
	var exit *cgi.ExitError
	if errors.As(err, &exit) {
		fmt.Println("exit status", exit.Status)
	}
}

// quiet has no log.
func quiet() *cgi.Handler { return &cgi.Handler{Log: slog.New(slog.DiscardHandler)} }

// writeTemp writes a file, and returns its name.
func writeTemp(text string) (name string, err error) {
	f, err := os.CreateTemp("", "example-*.txt")
	if err != nil {
		return "", err
	}
	_, err = io.WriteString(f, text)
	return f.Name(), errors.Join(err, f.Close())
}

var plain = []cgi.Field{{Name: "Content-Type", Value: "text/plain"}}

// The hello world of PEP 3333, and of wsgiref's documentation.
func ExampleWSGI() {
	hello := cgi.WSGI(func(env *cgi.Environ, start cgi.StartResponse) (cgi.Body, error) {
		if _, err := start("200 OK", plain, nil); err != nil {
			return nil, err
		}
		return cgi.Blocks([]byte("Hello, "), []byte(env.Get("REMOTE_ADDR"))), nil
	})
	get(cgi.ToHTTP(hello), "/")
	// Output: 200 Hello, 192.0.2.1
}

// A single block has a length, as in wsgiref. Two are sent one after the other.
func ExampleBlocks() {
	says := func(words ...string) cgi.WSGI {
		return func(env *cgi.Environ, start cgi.StartResponse) (cgi.Body, error) {
			_, err := start("200 OK", plain, nil)
			blocks := make([][]byte, len(words))
			for i, w := range words {
				blocks[i] = []byte(w)
			}
			return cgi.Blocks(blocks...), err
		}
	}
	show(quiet(), says("spam"))
	show(quiet(), says("spam ", "and eggs"))
	// Output:
	// Status: 200 OK
	// Content-Type: text/plain
	// Content-Length: 4
	//
	// spam
	// Status: 200 OK
	// Content-Type: text/plain
	//
	// spam and eggs
}

// A generator. Each block is sent before the next one is made. Whatever ends the
// request, the function gets to its end: if nobody reads any more, yield returns
// false.
func ExampleSeq() {
	countdown := cgi.WSGI(func(env *cgi.Environ, start cgi.StartResponse) (cgi.Body, error) {
		_, err := start("200 OK", plain, nil)
		return cgi.Seq(func(yield func([]byte, error) bool) {
			defer fmt.Println("(the generator ends)")
			for n := 3; n > 0; n-- {
				if !yield(fmt.Appendf(nil, "%d…\n", n), nil) {
					return
				}
			}
		}), err
	})
	show(quiet(), countdown)
	// Output:
	// (the generator ends)
	// Status: 200 OK
	// Content-Type: text/plain
	//
	// 3…
	// 2…
	// 1…
}

// A file as the body. It is closed at the end of the request. Its length is not
// stated unless the application does so.
func ExampleFile_wsgi() {
	name, err := writeTemp("Remember the milk.\n")
	if err != nil {
		log.Fatal(err)
	}
	defer os.Remove(name)
	show(quiet(), cgi.WSGI(func(env *cgi.Environ, start cgi.StartResponse) (cgi.Body, error) {
		f, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		body := &cgi.File{R: f}
		info, err := f.Stat()
		if err != nil {
			return body, err // a body that is returned is closed, also beside an error
		}
		_, err = start("200 OK", []cgi.Field{
			{Name: "Content-Type", Value: "text/plain"},
			{Name: "Content-Length", Value: strconv.FormatInt(info.Size(), 10)},
		}, nil)
		return body, err
	}))
	// Output:
	// Status: 200 OK
	// Content-Type: text/plain
	// Content-Length: 19
	//
	// Remember the milk.
}

// An application that has begun one answer and finds that it must give another. With a
// cause start may be called again, until something was sent.
func ExampleStartResponse() {
	app := cgi.WSGI(func(env *cgi.Environ, start cgi.StartResponse) (cgi.Body, error) {
		if _, err := start("200 OK", plain, nil); err != nil {
			return nil, err
		}
		n, err := strconv.Atoi(env.Get("QUERY_STRING"))
		if err != nil {
			if _, err := start("400 Bad Request", plain, err); err != nil {
				return nil, err
			}
			return cgi.Blocks([]byte("that is no number\n")), nil
		}
		return cgi.Blocks(fmt.Appendln(nil, n*n)), nil
	})
	get(cgi.ToHTTP(app), "/?12")
	get(cgi.ToHTTP(app), "/?twelve")
	// Output:
	// 200 144
	// 400 that is no number
}

// The other way to answer, for a program that writes.
func ExampleWriteFunc() {
	app := cgi.WSGI(func(env *cgi.Environ, start cgi.StartResponse) (cgi.Body, error) {
		write, err := start("200 OK", plain, nil)
		if err != nil {
			return nil, err
		}
		if err := write([]byte("sent at once, ")); err != nil {
			return nil, err
		}
		return cgi.Blocks([]byte("and this after it")), nil
	})
	get(cgi.ToHTTP(app), "/")
	// Output: 200 sent at once, and this after it
}

// The body of the request (wsgi.input), and where complaints go (wsgi.errors).
func ExampleEnviron_Request() {
	shout := cgi.WSGI(func(env *cgi.Environ, start cgi.StartResponse) (cgi.Body, error) {
		r := env.Request()
		text, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		if len(text) == 0 {
			fmt.Fprintln(r.Stderr, "nothing to shout")
		}
		_, err = start("200 OK", plain, nil)
		return cgi.Blocks([]byte(strings.ToUpper(string(text)))), err
	})
	show(quiet(), shout, "REQUEST_METHOD=POST", "CONTENT_LENGTH=19")
	// Output:
	// Status: 200 OK
	// Content-Type: text/plain
	// Content-Length: 19
	//
	// A LINE OF THE BODY
}
