package httpcgi

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cgi"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// serveChild serves the request that this test binary was started for, as the handler of the
// given name, by Serve or by net/http/cgi's, and returns the exit status.
func serveChild(name string) int {
	serve := Serve
	if os.Getenv("HTTPCGI_TEST_THEIRS") != "" {
		serve = cgi.Serve
	}
	for _, c := range children {
		if c.name == name {
			if err := serve(c.handler); err != nil {
				return 1
			}
			return 0
		}
	}
	return 2
}

// children are programs of which the two packages make another response. docs/net-http-cgi.md
// tells of them; the table of docs/net-http-fcgi.md has what a http.Handler sees in either.
var children = []struct {
	name          string
	handler       http.HandlerFunc
	variables     []string
	body          string
	ours, theirs  string // in what it prints
	without       string // not in what ours prints
	status, their int    // of its exit
}{
	{name: "a URL",
		handler: func(w http.ResponseWriter, r *http.Request) { fmt.Fprintf(w, "%s %q", r.URL, r.RequestURI) },
		ours:    `/a?b "/a?b"`, theirs: `http://h/a?b ""`},
	{name: "httpoxy", variables: []string{"HTTP_PROXY=evil"},
		handler: func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprintf(w, "%q %q", r.Header.Get("Proxy"), os.Getenv("HTTP_PROXY"))
		},
		ours: `"" "evil"`, theirs: `"evil" "evil"`},
	{name: "no SERVER_PROTOCOL", variables: []string{"SERVER_PROTOCOL="},
		handler: func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.Proto) },
		ours:    "HTTP/1.0", theirs: "", their: 1},
	{name: "a body that is shorter than its length", variables: []string{"REQUEST_METHOD=POST", "CONTENT_LENGTH=9"}, body: "hello",
		handler: func(w http.ResponseWriter, r *http.Request) {
			_, err := io.ReadAll(r.Body)
			fmt.Fprint(w, "short ", errors.Is(err, io.ErrUnexpectedEOF))
		},
		ours: "short true", theirs: "short false"},
	{name: "a panic",
		handler: func(w http.ResponseWriter, r *http.Request) { panic("oops") },
		ours:    "Status: 500 ", theirs: "", status: 1, their: 2},
	{name: "the body of a response to HEAD", variables: []string{"REQUEST_METHOD=HEAD"},
		handler: func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "hello") },
		ours:    "Content-Length: 5\r\n", theirs: "\r\n\r\nhello", without: "hello"},
	{name: "an informational response",
		handler: func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusEarlyHints)
			io.WriteString(w, "hello")
		},
		ours: "Status: 200 OK\r\n", theirs: "Status: 103 Early Hints\r\n"},
	{name: "a line end in a field",
		handler: func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X-Name", "a\r\nSet-Cookie: b")
			io.WriteString(w, "hello")
		},
		ours: "Status: 500 ", theirs: "X-Name: a  Set-Cookie: b", status: 1},
	{name: "a field named Status",
		handler: func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Status", "404 Not Found")
			io.WriteString(w, "hello")
		},
		ours: "Status: 200 OK\r\n", theirs: "Status: 404 Not Found\r\n"},
	{name: "a body that is too short",
		handler: func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "9")
			io.WriteString(w, "hello")
		},
		ours: "hello", theirs: "hello", status: 1},
	{name: "a body that is too long",
		handler: func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "2")
			io.WriteString(w, "hello")
		},
		ours: "\r\n\r\nhe", theirs: "\r\n\r\nhello", without: "hello"},
	{name: "no body",
		handler: func(w http.ResponseWriter, r *http.Request) {},
		ours:    "Status: 200 OK\r\n", theirs: "Content-Type: text/plain", without: "Content-Type"},
	{name: "the length of a small response",
		handler: func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "hello") },
		ours:    "Content-Length: 5\r\n", theirs: "hello"},
	{name: "http.ErrAbortHandler",
		handler: func(w http.ResponseWriter, r *http.Request) { panic(http.ErrAbortHandler) },
		ours:    "", theirs: "", status: 1, their: 2},
}

func TestServe(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range children {
		t.Run(c.name, func(t *testing.T) {
			run := func(more ...string) (string, int) {
				cmd := exec.Command(self)
				cmd.Env = append(cmd.Environ(), "HTTPCGI_TEST_CHILD="+c.name, "REQUEST_METHOD=GET", "SERVER_PROTOCOL=HTTP/1.1", "REQUEST_URI=/a?b", "HTTP_HOST=h")
				cmd.Env = append(append(cmd.Env, c.variables...), more...)
				cmd.Stdin = strings.NewReader(c.body)
				var out bytes.Buffer
				cmd.Stdout = &out
				cmd.Run()
				return out.String(), cmd.ProcessState.ExitCode()
			}
			if got, status := run(); !strings.Contains(got, c.ours) || status != c.status || c.without != "" && strings.Contains(got, c.without) {
				t.Errorf("ours: %q and status %d, want %q and %d", got, status, c.ours, c.status)
			}
			switch got, status := run("HTTPCGI_TEST_THEIRS=1"); {
			case !strings.Contains(got, c.theirs), c.theirs == "" && got != "", status != c.their:
				t.Errorf("net/http/cgi: %q and status %d, want %q and %d", got, status, c.theirs, c.their)
			}
		})
	}
}

// TestRequest: a program may make the request itself.
func TestRequest(t *testing.T) {
	if os.Getenv("HTTPCGI_TEST_REQUEST") != "" {
		r, err := Request()
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		b, err := io.ReadAll(r.Body)
		fmt.Printf("%s %s %d %q %v\n", r.Method, r.URL, r.ContentLength, b, err)
		os.Exit(0)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		variables []string
		want      string
	}{
		{[]string{"CONTENT_LENGTH=5"}, `POST http://h/a?b 5 "hello" <nil>`},
		{[]string{"CONTENT_LENGTH="}, `POST http://h/a?b 0 "" <nil>`},
		{[]string{"CONTENT_LENGTH=9"}, `POST http://h/a?b 9 "hello, " the body ended 2 bytes before its length: unexpected EOF`},
		{[]string{"CONTENT_LENGTH=x"}, `httpcgi: CONTENT_LENGTH "x" is no number`},
	} {
		cmd := exec.Command(self, "-test.run=^TestRequest$")
		cmd.Env = append(cmd.Environ(), "HTTPCGI_TEST_REQUEST=1", "REQUEST_METHOD=POST", "SERVER_PROTOCOL=HTTP/1.1", "REQUEST_URI=/a?b", "HTTP_HOST=h")
		cmd.Env = append(cmd.Env, c.variables...)
		cmd.Stdin = strings.NewReader("hello, ")
		out, _ := cmd.Output()
		if got := strings.TrimSpace(string(out)); got != c.want {
			t.Errorf("%q: %q, want %q", c.variables, got, c.want)
		}
	}
}
