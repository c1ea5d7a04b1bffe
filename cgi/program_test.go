package cgi

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// childPrograms are what the test binary is when it is started as a CGI program.
var childPrograms = map[string]func() int{
	"echo": func() int {
		return exitStatus(Serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			b, err := io.ReadAll(r.Body)
			fmt.Fprintf(w, "%s %s %q %v proxy=%q", r.Method, r.URL, b, err, Env(r).Get("HTTP_PROXY"))
		})))
	},
	"early": func() int { return exitStatus(ServeApp(answer("200 OK", nil, "early"))) },
	"closed": func() int {
		return exitStatus(ServeApp(AppFunc(func(w ResponseWriter, r *Request) error {
			r.CloseBody()
			return answer("200 OK", nil, "closed").ServeCGI(w, r)
		})))
	},
	"broken pipe": func() int {
		return exitStatus(ServeApp(AppFunc(func(w ResponseWriter, r *Request) error {
			w.StartResponse("200 OK", nil)
			var err error
			for err == nil {
				_, err = w.Write(make([]byte, 1<<16))
			}
			fmt.Fprintln(r.Stderr, "cleaned up")
			return err
		})))
	},
}

func exitStatus(err error) int {
	var e *ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &e):
		return e.Status
	}
	fmt.Fprintln(os.Stderr, err)
	return 1
}

// program returns the test binary as a CGI program.
func program(name string, vars ...string) *exec.Cmd {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append([]string{childVariable + "=" + name}, vars...)
	return cmd
}

func TestProgram(t *testing.T) {
	cmd := program("echo", "REQUEST_METHOD=POST", "GATEWAY_INTERFACE=CGI/1.1", "SCRIPT_NAME=/x", "QUERY_STRING=q", "CONTENT_LENGTH=5", "HTTP_PROXY=evil")
	// R29: no more is read than CONTENT_LENGTH says.
	cmd.Stdin = strings.NewReader("hello, and more")
	out, err := cmd.Output()
	want := `POST /x?q "hello" <nil> proxy=""`
	if string(out) != fmt.Sprintf("Status: 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: %d\r\n\r\n%s", len(want), want) || err != nil {
		t.Errorf("got %q, %v", out, err)
	}
}

// TestProgramRequestURI: as with net/http/cgi, the URL of Serve is REQUEST_URI. That of a
// Program is the web server's.
func TestProgramRequestURI(t *testing.T) {
	vars := []string{"REQUEST_METHOD=GET", "SCRIPT_NAME=/app.cgi", "PATH_INFO=/blog", "QUERY_STRING=p=2", "REQUEST_URI=/blog?p=1"}
	out, err := program("echo", vars...).Output()
	if !strings.Contains(string(out), "GET /blog?p=1 ") || err != nil {
		t.Errorf("got %q, %v", out, err)
	}
	for policy, want := range map[PathPolicy]string{PathAuto: "/app.cgi/blog?p=2 /app.cgi", PathRequest: "/blog?p=1 "} {
		var body bytes.Buffer
		p := &Program{Env: NewEnviron(vars...), Stdin: strings.NewReader(""), Stdout: &body, Stderr: io.Discard, Paths: policy}
		err := p.Serve(FromHTTP(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.URL, " ", ScriptName(r)) })))
		if !strings.HasSuffix(body.String(), "\r\n\r\n"+want) || err != nil {
			t.Errorf("%v: got %q, %v; want %q", policy, &body, err, want)
		}
	}
}

func TestProgramNotCGI(t *testing.T) {
	cmd := program("echo")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	var ee *exec.ExitError
	if len(out) != 0 || !errors.As(err, &ee) || ee.ExitCode() != 1 || !strings.Contains(stderr.String(), "not started as a CGI program") {
		t.Errorf("got %q, %v, %q", out, err, &stderr)
	}
}

// A standard output that nobody reads is an error to the application, and no
// signal ends the program before it has cleaned up.
func TestProgramBrokenPipe(t *testing.T) {
	cmd := program("broken pipe", "REQUEST_METHOD=GET")
	pr, pw, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	pr.Close()
	defer pw.Close()
	var stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = pw, &stderr
	err = cmd.Run()
	var ee *exec.ExitError
	if !errors.As(err, &ee) || ee.ExitCode() != 1 {
		t.Errorf("ended with %v", err)
	}
	for _, part := range []string{"cleaned up\n", "client gone"} {
		if !strings.Contains(stderr.String(), part) {
			t.Errorf("standard error does not have %q: %s", part, &stderr)
		}
	}
}

// serveProgram runs an App as a Program in this process.
func serveProgram(p Program, a App) (out string, complaints string, err error) {
	var stdout, stderr bytes.Buffer
	if p.Stdout == nil {
		p.Stdout = &stdout
	}
	p.Stderr = &stderr
	if p.Stdin == nil {
		p.Stdin = strings.NewReader("")
	}
	err = p.Serve(a)
	return stdout.String(), stderr.String(), err
}

func TestProgramOutcomes(t *testing.T) {
	env := func() *Environ { return NewEnviron("REQUEST_METHOD=GET") }
	for _, c := range []struct {
		name   string
		app    AppFunc
		out    string
		status int
	}{
		{"complete", answer("200 OK", nil, "x"), "Status: 200 OK\r\nContent-Length: 1\r\n\r\nx", 0},
		{"an error", func(ResponseWriter, *Request) error { return errors.New("gone wrong") }, errorPage500, 1},
		{"404", func(ResponseWriter, *Request) error { return &StatusError{Code: 404} },
			"Status: 404 Not Found\r\nContent-Type: text/plain\r\nContent-Length: 14\r\n\r\n404 Not Found\n", 0},
		{"its own 500", answer("500 Mine", nil, ""), "Status: 500 Mine\r\nContent-Length: 0\r\n\r\n", 0},
		{"truncated", answer("200 OK", []string{"Content-Length: 9"}, "x"), "Status: 200 OK\r\nContent-Length: 9\r\n\r\nx", 1},
		{"an exit status", func(w ResponseWriter, r *Request) error {
			SetExitStatus(w, 7)
			return w.StartResponse("200 OK", nil)
		}, "Status: 200 OK\r\nContent-Length: 0\r\n\r\n", 7},
	} {
		out, complaints, err := serveProgram(Program{Env: env()}, c.app)
		if got := exitStatus(err); out != c.out || got != c.status {
			t.Errorf("%s: got %q, status %d, %v", c.name, out, got, err)
		}
		if (complaints == "") != (c.status == 0 && c.name != "404" || c.status == 7) {
			t.Errorf("%s: complaints %q", c.name, complaints)
		}
	}
}

func TestProgramFlagsAndStreams(t *testing.T) {
	var stderr string
	_, stderr, err := serveProgram(Program{Env: NewEnviron("REQUEST_METHOD=GET", "HTTP_PROXY=evil")}, AppFunc(func(w ResponseWriter, r *Request) error {
		if !r.RunOnce || !r.Multiprocess || r.Multithread || r.Role != Responder || r.Env.Get("HTTP_PROXY") != "" {
			t.Errorf("request %+v", r)
		}
		io.WriteString(r.Stderr, "complaint")
		return w.StartResponse("200 OK", nil)
	}))
	if stderr != "complaint" || err != nil {
		t.Errorf("got %q, %v", stderr, err)
	}
	h := &Handler{Log: quiet, RunFlags: &RunFlags{Multithread: true}}
	serveProgram(Program{Env: NewEnviron("REQUEST_METHOD=GET"), Handler: h}, AppFunc(func(w ResponseWriter, r *Request) error {
		if !r.RunOnce || r.Multiprocess || !r.Multithread {
			t.Errorf("with RunFlags: request %+v", r)
		}
		return w.StartResponse("200 OK", nil)
	}))
}

func TestProgramBody(t *testing.T) {
	for _, c := range []struct {
		name, stdin string
		vars        []string
		limit       int64
		length      int64
		want        string
		err         error
	}{
		{name: "none", stdin: "junk"},
		{name: "empty CONTENT_LENGTH", stdin: "junk", vars: []string{"CONTENT_LENGTH="}},
		{name: "R29: more than CONTENT_LENGTH", stdin: "hello, and more", vars: []string{"CONTENT_LENGTH=5"}, length: 5, want: "hello"},
		{name: "less than CONTENT_LENGTH", stdin: "hel", vars: []string{"CONTENT_LENGTH=5"}, length: 5, want: "hel", err: io.ErrUnexpectedEOF},
		{name: "chunked", stdin: "hello", vars: []string{"HTTP_TRANSFER_ENCODING=chunked"}, length: -1, want: "hello"},
		{name: "chunked, over the limit", stdin: "hello", vars: []string{"HTTP_TRANSFER_ENCODING=chunked"}, limit: 3, length: -1, want: "hel", err: &StatusError{Code: 413}},
		{name: "chunked, at the limit", stdin: "hel", vars: []string{"HTTP_TRANSFER_ENCODING=chunked"}, limit: 3, length: -1, want: "hel"},
	} {
		p := Program{Env: NewEnviron(append(c.vars, "REQUEST_METHOD=POST")...), Stdin: strings.NewReader(c.stdin), Limits: Limits{BodyBytes: c.limit}}
		serveProgram(p, AppFunc(func(w ResponseWriter, r *Request) error {
			b, err := io.ReadAll(r.Body)
			if r.ContentLength != c.length || string(b) != c.want {
				t.Errorf("%s: ContentLength %d, body %q", c.name, r.ContentLength, b)
			}
			var got, want *StatusError
			if errors.As(c.err, &want) {
				if !errors.As(err, &got) || got.Code != want.Code {
					t.Errorf("%s: error %v", c.name, err)
				}
			} else if !errors.Is(err, c.err) {
				t.Errorf("%s: error %v", c.name, err)
			}
			return w.StartResponse("200 OK", nil)
		}))
	}
	out, _, _ := serveProgram(Program{Env: NewEnviron("REQUEST_METHOD=POST", "CONTENT_LENGTH=9"), Limits: Limits{BodyBytes: 8}}, answer("200 OK", nil, ""))
	if !strings.HasPrefix(out, "Status: 413 ") {
		t.Errorf("over the limit: %q", out)
	}
}

// countingWriter counts writes, and takes at most max bytes at each.
type countingWriter struct {
	bytes.Buffer
	writes, max int
}

func (w *countingWriter) Write(p []byte) (int, error) {
	w.writes++
	return w.Buffer.Write(p[:min(len(p), w.max)])
}

func TestProgramWrites(t *testing.T) {
	env := func() *Environ { return NewEnviron("REQUEST_METHOD=GET") }
	one := &countingWriter{max: 1 << 20}
	serveProgram(Program{Env: env(), Stdout: one}, answer("200 OK", []string{"X: y"}, strings.Repeat("x", 16<<10)))
	if one.writes != 1 {
		t.Errorf("a small answer took %d writes", one.writes)
	}
	for _, n := range []int{10, 200_000} {
		short := &countingWriter{max: 7}
		body := strings.Repeat("y", n)
		_, _, err := serveProgram(Program{Env: env(), Stdout: short}, answer("200 OK", []string{"Content-Length: " + fmt.Sprint(n)}, body))
		if want := fmt.Sprintf("Status: 200 OK\r\nContent-Length: %d\r\n\r\n%s", n, body); short.String() != want || err != nil {
			t.Errorf("%d bytes over short writes: %d arrived, %v", n, short.Len(), err)
		}
	}
	_, _, err := serveProgram(Program{Env: env(), Stdout: &countingWriter{}}, answer("200 OK", nil, "x"))
	if !errors.Is(err, io.ErrShortWrite) {
		t.Errorf("an output that takes nothing: %v", err)
	}
}
