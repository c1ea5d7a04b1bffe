package python

import (
	"fmt"

	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gatehouse/fastcgi/record"
	"gatehouse/internal/testkit"
)

const (
	text      = "Status: 200 OK\nContent-Type: text/plain"
	errorHead = "Status: 500 Internal Server Error\nContent-Type: text/plain\nContent-Length: 59"
	errorBody = "A server error occurred.  Please contact the administrator."
)

// A rule is what a request to an application of testdata/rules.py leads to.
type rule struct {
	name, app, query string
	vars             []string // more of them
	body             string

	head, out string   // wanted; for a response of 500, only head is "500"
	blocks    []string // wanted STDOUT records: the first has the head
	stderr    string   // contained in FCGI_STDERR; "" for nothing there
	status    uint32
	behind    bool   // FREE comes behind END_REQUEST
	seen      string // noted by the application
}

// rules are those of PEP 3333, as wsgiref and this gateway have them.
var rules = []rule{
	// The iterable and Content-Length.
	{name: "one block", app: "blocks", query: "[b'one']", head: "Status: 200 OK\nContent-Length: 3", blocks: []string{"one"}},
	{name: "one block in a tuple", app: "blocks", query: "(b'one',)", head: "Status: 200 OK\nContent-Length: 3", blocks: []string{"one"}},
	{name: "one empty block", app: "blocks", query: "[b'']", head: "Status: 200 OK\nContent-Length: 0", blocks: []string{""}},
	{name: "no block", app: "blocks", query: "[]", head: "Status: 200 OK\nContent-Length: 0", blocks: []string{""}},
	{name: "blocks of a list", app: "blocks", query: "[b'one', b'', b'two']", head: "Status: 200 OK", blocks: []string{"onetwo"}},
	{name: "blocks of an iterator", app: "blocks", query: "iter([b'', b'one', b'', b'two', b''])", head: "Status: 200 OK", blocks: []string{"one", "two"}},
	{name: "an empty iterator", app: "blocks", query: "iter([b'', b''])", head: "Status: 200 OK\nContent-Length: 0", blocks: []string{""}},
	{name: "blocks of an object", app: "blocks", query: "Body([b'one', b'', b'two'])", head: "Status: 200 OK", blocks: []string{"one", "two"}, behind: true,
		seen: "next next next close"},
	{name: "an object of length 1", app: "sized", head: text + "\nContent-Length: 5", blocks: []string{"sized"}, behind: true, seen: "next close"},
	{name: "a large block", app: "blocks", query: "[b'x' * 150000]", head: "Status: 200 OK\nContent-Length: 150000", out: strings.Repeat("x", 150000)},
	{name: "large blocks of a list", app: "blocks", query: "[b'x' * 60000, b'y' * 60000]", head: "Status: 200 OK", out: strings.Repeat("x", 60000) + strings.Repeat("y", 60000)},
	{name: "its own length", app: "blocks", query: "[b'three']", vars: []string{"FIELDS=[('content-length', '5')]"}, head: "Status: 200 OK\ncontent-length: 5", out: "three"},
	{name: "END with the block that reaches the length", app: "blocks", query: "Body([b'th', b'ree', b'more'])", vars: []string{"FIELDS=[('Content-Length', '5')]"},
		head: "Status: 200 OK\nContent-Length: 5", blocks: []string{"th", "ree"}, behind: true, seen: "next next close"},
	{name: "too long in an iterator", app: "blocks", query: "Body([b'three', b'more'])", vars: []string{"FIELDS=[('Content-Length', '4')]"},
		head: "Status: 200 OK\nContent-Length: 4", blocks: []string{"thre"}, behind: true, seen: "next close", stderr: "the response is longer than its Content-Length of 4 bytes: it was cut"},
	{name: "too long in a list", app: "blocks", query: "[b'three']", vars: []string{"FIELDS=[('Content-Length', '4')]"},
		head: "Status: 200 OK\nContent-Length: 4", out: "thre", stderr: "longer than its Content-Length of 4"},
	{name: "too short", app: "blocks", query: "[b'three']", vars: []string{"FIELDS=[('Content-Length', '9')]"},
		head: "Status: 200 OK\nContent-Length: 9", out: "three", status: 1, stderr: "the response ends 4 bytes before its Content-Length of 9"},
	{name: "too short in an iterator", app: "blocks", query: "iter([b'three'])", vars: []string{"FIELDS=[('Content-Length', '9')]"},
		head: "Status: 200 OK\nContent-Length: 9", out: "three", status: 1, stderr: "the response ends 4 bytes before its Content-Length of 9"},
	{name: "nothing of its length", app: "blocks", query: "[]", vars: []string{"FIELDS=[('Content-Length', '9')]"},
		head: "Status: 200 OK\nContent-Length: 9", status: 1, stderr: "the response ends 9 bytes before its Content-Length of 9"},
	{name: "length 0", app: "blocks", query: "[]", vars: []string{"FIELDS=[('Content-Length', '0')]"}, head: "Status: 200 OK\nContent-Length: 0"},
	{name: "no length", app: "blocks", query: "[b'x']", vars: []string{"FIELDS=[('Content-Length', '-1')]"}, head: "500", stderr: "Content-Length must be a number (got '-1')"},

	// HEAD, and statuses without a body.
	{name: "HEAD", app: "blocks", query: "[b'three']", vars: []string{"REQUEST_METHOD=HEAD"}, head: "Status: 200 OK\nContent-Length: 5"},
	{name: "HEAD without a body", app: "blocks", query: "[]", vars: []string{"REQUEST_METHOD=HEAD"}, head: "Status: 200 OK"},
	{name: "HEAD with its length", app: "blocks", query: "[]", vars: []string{"REQUEST_METHOD=HEAD", "FIELDS=[('Content-Length', '12345')]"}, head: "Status: 200 OK\nContent-Length: 12345"},
	{name: "HEAD of an iterable", app: "blocks", query: "Body([b'one', b'two'])", vars: []string{"REQUEST_METHOD=HEAD"}, head: "Status: 200 OK", behind: true, seen: "next close"},
	{name: "HEAD with write", app: "write", vars: []string{"REQUEST_METHOD=HEAD"}, head: text},
	{name: "HEAD of an error", app: "fail", vars: []string{"REQUEST_METHOD=HEAD"}, head: errorHead, stderr: "ValueError: from the application"},
	{name: "204", app: "blocks", query: "[]", vars: []string{"STATUS=204 No Content"}, head: "Status: 204 No Content"},
	{name: "204 with a body", app: "blocks", query: "[b'body']", vars: []string{"STATUS=204 No Content"}, head: "Status: 204 No Content"},
	{name: "304", app: "blocks", query: "[b'']", vars: []string{"STATUS=304 Not Modified", "FIELDS=[('ETag', '\"x\"')]"}, head: "Status: 304 Not Modified\nETag: \"x\""},

	// start_response.
	{name: "late", app: "startlate", head: text, blocks: []string{"late"}, behind: true},
	{name: "never", app: "startnever", head: "500", stderr: "start_response() was not called"},
	{name: "never, and nothing", app: "startnothing", head: "500", stderr: "start_response() was not called"},
	{name: "twice", app: "starttwice", head: "500", stderr: "AssertionError: Headers already set!"},
	{name: "after a bad one", app: "startafterbad", head: "500", stderr: "AssertionError: Headers already set!"},
	{name: "exc_info before the head", app: "startagain", head: "Status: 404 Not Found\nX-Second: 2\nContent-Length: 8", out: "replaced"},
	{name: "exc_info behind the head", app: "startsent", head: text, blocks: []string{"begun"}, status: 1, stderr: "ValueError: cause", seen: "raised cause"},
	{name: "a list that changes", app: "mutated", head: "Status: 200 OK\nX-One: 1\nContent-Length: 1", out: "x"},
	start("'200 OK', [('X-\\xe9', 'x')]", "ValueError: Header name 'X-é' is not a token (RFC 9110 section 5.1)"),
	start("'200', []", "AssertionError: Status must be at least 4 characters"),
	start("'20X OK', []", "AssertionError: Status message must begin w/3-digit code"),
	start("'200OK', []", "AssertionError: Status message must have a space after code"),
	start("'٢٠٠ OK', []", "AssertionError: Status message must begin w/3-digit code"),
	start("'100 Continue', []", "AssertionError: Status '100 Continue' is not one of a response: it begins at 200"),
	start("b'200 OK', []", "AssertionError: Status must be of type str (got b'200 OK')"),
	start("'200 O\\nK', []", "ValueError: Control characters not allowed in the status: '200 O\\nK'"),
	start("'200 O\\x7fK', []", "ValueError: Control characters not allowed in the status: '200 O\\x7fK'"),
	start("'200 OK', (('A', 'b'),)", "TypeError: Headers must be of type list: a list of name/value tuples"),
	start("'200 OK', [('A', b'b')]", "AssertionError: Header value must be of type str (got b'b')"),
	start("'200 OK', [('A', 1)]", "AssertionError: Header value must be of type str (got 1)"),
	start("'200 OK', [(b'A', 'b')]", "AssertionError: Header name must be of type str (got b'A')"),
	start("'200 OK', [('A\\n', 'b')]", "ValueError: Header name 'A\\n' is not a token (RFC 9110 section 5.1)"),
	start("'200 OK', [('A:', 'b')]", "ValueError: Header name 'A:' is not a token (RFC 9110 section 5.1)"),
	start("'200 OK', [('', 'b')]", "ValueError: Header name '' is not a token (RFC 9110 section 5.1)"),
	start("'200 OK', [('A', 'b\\r\\nc')]", "ValueError: Control characters not allowed in header A: 'b\\r\\nc'"),
	start("'200 OK', [('A', 'b\\0')]", "ValueError: Control characters not allowed in header A: 'b\\x00'"),
	start("'200 OK', [('A', 'b\\u20ac')]", "ValueError: header A is not latin-1 (PEP 3333): encode it: 'b€'"),
	start("'200 \\u20ac', []", "ValueError: the status is not latin-1 (PEP 3333): encode it: '200 €'"),
	start("'200 OK', [('Status', '404')]", "AssertionError: the header Status is not allowed: the status is the first argument of start_response"),
	start("'200 OK', [('Connection', 'close')]", "AssertionError: Hop-by-hop header, 'Connection: close', not allowed"),
	start("'200 OK', [('kEEP-alive', 'x')]", "AssertionError: Hop-by-hop header, 'kEEP-alive: x', not allowed"),
	start("'200 OK', [('TE', 'x')]", "AssertionError: Hop-by-hop header, 'TE: x', not allowed"),
	start("'200 OK', [('Trailers', 'x')]", "AssertionError: Hop-by-hop header, 'Trailers: x', not allowed"),
	start("'200 OK', [('Transfer-Encoding', 'chunked')]", "AssertionError: Hop-by-hop header, 'Transfer-Encoding: chunked', not allowed"),
	start("'200 OK', [('Upgrade', 'x')]", "AssertionError: Hop-by-hop header, 'Upgrade: x', not allowed"),
	start("'200 OK', [('Proxy-Authenticate', 'x')]", "AssertionError: Hop-by-hop header, 'Proxy-Authenticate: x', not allowed"),
	start("'200 OK', [('Proxy-Authorization', 'x')]", "AssertionError: Hop-by-hop header, 'Proxy-Authorization: x', not allowed"),
	{name: "what may be sent", app: "start", query: `'299 \xe9', [('Trailer', 'a\tb'), ('X-\x60~', '\xe9\xa0'), ('Set-Cookie', 'a'), ('Set-Cookie', 'b')]`,
		head: "Status: 299 \xe9\nTrailer: a\tb\nX-`~: \xe9\xa0\nSet-Cookie: a\nSet-Cookie: b\nContent-Length: 1", out: "x"},
	{name: "a lone surrogate", app: "start", query: `'200 OK', [('A', '\udc80')]`, head: "500", stderr: `header A is not latin-1`, seen: `ValueError: header A is not latin-1 (PEP 3333): encode it: '\udc80'`},

	// write.
	{name: "write", app: "write", head: text, blocks: []string{"one", "two", "three"}},
	{name: "write alone", app: "writeonly", head: text, blocks: []string{""}},
	{name: "write of too much", app: "writelong", head: "Status: 200 OK\nContent-Length: 4", blocks: []string{"one", "4"}, seen: "write() of more than the Content-Length of 4 bytes"},
	{name: "write of a str", app: "writestr", head: "500", stderr: "a block of the body must be of type bytes (got str)"},

	// Errors, and close().
	{name: "an error", app: "fail", head: errorHead, out: errorBody, stderr: "ValueError: from the application"},
	{name: "an error behind start_response", app: "failafter", head: errorHead, out: errorBody, stderr: "ValueError: from the application"},
	{name: "an error behind the head", app: "failbegun", head: text, blocks: []string{"part"}, status: 1, stderr: "ValueError: from the application"},
	{name: "a chain of errors", app: "failchained", head: "500", stderr: "TypeError: write() argument must be str, not int\n\nThe above exception was the direct cause"},
	{name: "an error of the iterable", app: "blocks", query: "Body([b'', None])", head: errorHead, out: errorBody, stderr: "ValueError: from the iterable", seen: "next close"},
	{name: "an error behind the first block", app: "blocks", query: "Body([b'part', None])", head: "Status: 200 OK", blocks: []string{"part"}, status: 1,
		stderr: "ValueError: from the iterable", seen: "next close"},
	{name: "an error in close, behind the end", app: "blocks", query: "Body([b'whole'], error)", vars: []string{"FIELDS=[('Content-Length', '5')]"},
		head: "Status: 200 OK\nContent-Length: 5", out: "whole", behind: true, seen: "next close"},
	{name: "two errors", app: "blocks", query: "Body([None], error)", head: errorHead, out: errorBody, stderr: "ValueError: from close", seen: "close"},
	{name: "a str", app: "blocks", query: "['text']", head: "500", stderr: "a block of the body must be of type bytes (got str)"},
	{name: "strs", app: "blocks", query: "['a', 'b']", head: "500", stderr: "must be of type bytes (got str)"},
	{name: "str itself", app: "blocks", query: "'text'", head: "500", stderr: "must be of type bytes (got str)"},
	{name: "bytes themselves", app: "blocks", query: "b'text'", head: "500", stderr: "must be of type bytes (got int)"},
	{name: "a bytearray", app: "blocks", query: "[bytearray(b'x')]", head: "500", stderr: "must be of type bytes (got bytearray)"},
	{name: "an empty str", app: "blocks", query: "['']", head: "500", stderr: "must be of type bytes (got str)"},
	{name: "a str behind the head", app: "blocks", query: "Body([b'x', 'y'])", head: "Status: 200 OK", blocks: []string{"x"}, status: 1, stderr: "must be of type bytes (got str)", seen: "next next close"},
	{name: "None", app: "none", head: "500", stderr: "TypeError: the application has returned None, and not an iterable of bytes"},

	// wsgi.errors and stdout.
	{name: "errors", app: "errors", head: text + "\nContent-Length: 4", out: "done", stderr: "one line\nuü€\\udcff\nlast", seen: "write() argument must be str, not bytes"},
	{name: "a long line", app: "longline", head: text + "\nContent-Length: 4", out: "done", stderr: strings.Repeat("x", 100000)},
	{name: "print", app: "printed", head: text + "\nContent-Length: 6", out: "''\nb''"},
	{name: "sys.stderr", app: "stderr", head: text + "\nContent-Length: 4", out: "done",
		stderr: "one line\nfrom logging\nfrom a handler\nelsewhere:1: UserWarning: from a warning\nfrom a thread\npartly\nuü€\\udcff\nlast"},

	// wsgi.input.
	read("read()", "b'one\\ntwo\\nthree'"), read("read(-1);read(1)", "b'one\\ntwo\\nthree'\nb''"), read("read(None)", "b'one\\ntwo\\nthree'"),
	read("read(0);read(2);read(100);read(1);read(0)", "b''\nb'on'\nb'e\\ntwo\\nthree'\nb''\nb''"),
	read("readline();readline(2);readline();readline(-1);readline()", "b'one\\n'\nb'tw'\nb'o\\n'\nb'three'\nb''"),
	read("readline(0);readline(4);readline(None)", "b''\nb'one\\n'\nb'two\\n'"),
	read("readlines()", "[b'one\\n', b'two\\n', b'three']"), read("readlines(5);read()", "[b'one\\n', b'two\\n']\nb'three'"),
	read("readlines(4);readlines(0)", "[b'one\\n']\n[b'two\\n', b'three']"), read("list;list", "[b'one\\n', b'two\\n', b'three']\n[]"),
	{name: "no body", app: "read", query: "read();read(5);readline();readlines();list", head: text, out: "b''\nb''\nb''\n[]\n[]"},
	{name: "a body of unknown length", app: "read", query: "read(3);read();read()", vars: []string{"CONTENT_LENGTH="}, body: "unknown", head: text, out: "b'unk'\nb'nown'\nb''"},
	{name: "a short body", app: "read", query: "read(3);read(4);read();read(1)", vars: []string{"CONTENT_LENGTH=9"}, body: "short",
		head: text, out: "b'sho'\n" + strings.Repeat("\nOSError: the body of the request has ended 4 bytes before its CONTENT_LENGTH", 3)[1:]},
	{name: "a short body, in lines", app: "read", query: "readline();readline()", vars: []string{"CONTENT_LENGTH=9"}, body: "a\nb",
		head: text, out: "b'a\\n'\nOSError: the body of the request has ended 6 bytes before its CONTENT_LENGTH"},
	{name: "no body in spite of its length", app: "read", query: "read()", vars: []string{"CONTENT_LENGTH=9"}, head: text, out: "OSError: the body of the request has ended 9 bytes before its CONTENT_LENGTH"},
	{name: "a body that is too long", app: "read", query: "read();read()", vars: []string{"CONTENT_LENGTH=2"}, body: "long", head: text, out: "b'lo'\nb''"},
	{name: "a body that is not read", app: "unread", body: strings.Repeat("x", 1<<20), head: text + "\nContent-Length: 6", blocks: []string{"unread"}},
	{name: "a large body", app: "read", query: "read(1000000) == b'x' * 1000000;read(99999999) == b'x' * 48576;read()", body: strings.Repeat("x", 1<<20), head: text, out: "True\nTrue\nb''"},
	{name: "an input that is kept", app: "keepinput", body: "abc", head: text + "\nContent-Length: 4", out: "kept"},
	{name: "an input of an earlier request", app: "keptinput", body: "def", head: text + "\nContent-Length: 3", out: "b''"},

	// wsgi.file_wrapper.
	{name: "a file", app: "wrapped", query: "wrap(real)", head: "Status: 200 OK\nContent-Length: 5", out: "56789", behind: true},
	{name: "a file with its length", app: "wrapped", query: "wrap(real)", vars: []string{"FIELDS=[('Content-Length', '5')]"}, head: "Status: 200 OK\nContent-Length: 5", out: "56789", behind: true},
	{name: "a part of a file", app: "wrapped", query: "wrap(real)", vars: []string{"FIELDS=[('Content-Length', '2')]"}, head: "Status: 200 OK\nContent-Length: 2", out: "56", behind: true},
	{name: "a BytesIO", app: "wrapped", query: "wrap(io.BytesIO(b'in memory'))", head: "Status: 200 OK", out: "in memory", behind: true},
	{name: "read alone", app: "wrapped", query: "wrap(Reads(b'read'), 3)", head: "Status: 200 OK", blocks: []string{"rea", "d"}, seen: "3 3 3"},
	{name: "a fileno that raises", app: "wrapped", query: "wrap(Unfiled(b'unfiled'))", head: "Status: 200 OK", out: "unfiled", behind: true, seen: "8192 8192 close"},
	{name: "a wrapped wrapper", app: "wrapped", query: "iter(list(wrap(real)))", head: "Status: 200 OK", out: "56789"},
	{name: "a text file", app: "wrapped", query: "wrap(io.StringIO('text'))", head: "500", stderr: "must be of type bytes (got str)"},
}

// start returns the rule that a call of start_response is an error.
func start(call, message string) rule {
	return rule{name: "start_response " + call, app: "start", query: call, head: "500", stderr: message + "\n", seen: message}
}

// read returns the rule what calls of wsgi.input return.
func read(calls, results string) rule {
	return rule{name: "input " + calls, app: "read", query: calls, body: "one\ntwo\nthree", head: text, out: results}
}

// TestRules: every rule, on one worker, and so that nothing of a request is left for the next.
func TestRules(t *testing.T) {
	dir := testdata(t)
	for _, python := range pythons(t) {
		t.Run(python.version, func(t *testing.T) {
			p := startPeer(t, python.path, dir, "rules:app")
			p.awaitReady(t)
			for _, r := range rules {
				t.Run(r.name, func(t *testing.T) { r.check(t, p, 7) })
			}
			for _, line := range []string{"printed \\udcff\n", "on stdout\n", "by the descriptor\n", "by the buffer\n", "by descriptor 2\n", "gatehouse: an error behind the response, in request abc-1\nTraceback",
				"in close\n    raise self.fail\nValueError: from close\n"} {
				if !strings.Contains(p.log.String(), line) {
					t.Errorf("the log has no %q", line)
				}
			}
		})
	}
}

func (r *rule) check(t *testing.T, p *peer, chunk int) {
	vars := completed(r.body, append([]string{"PATH_INFO=/" + r.app, "QUERY_STRING=" + r.query}, r.vars...))
	if len(r.body) > 1000 {
		chunk = record.MaxAligned
	}
	p.write(t, p.request(r.body, chunk, vars...))
	a := p.read(t)
	head, body := a.split()
	want := r.head
	if want == "500" {
		want, r.out = errorHead, errorBody
	}
	if r.app == "read" {
		head = strings.Join(strings.Split(head, "\n")[:2], "\n")
	}
	if head != want {
		t.Errorf("head\n%s\nwant\n%s", head, want)
	}
	if r.blocks != nil {
		got := slices.Clone(a.blocks)
		if len(got) > 0 {
			_, got[0], _ = strings.Cut(got[0], "\r\n\r\n")
		}
		if !slices.Equal(got, r.blocks) {
			t.Errorf("blocks %q, want %q", got, r.blocks)
		}
	} else if body != r.out {
		t.Errorf("body %.200q, want %.200q", body, r.out)
	}
	if r.stderr == "" && a.stderr != "" || !strings.Contains(a.stderr, r.stderr) {
		t.Errorf("stderr\n%s\nwant\n%s", a.stderr, r.stderr)
	}
	if strings.Contains(a.stderr, "gatehouse-worker.py") {
		t.Errorf("the traceback shows the worker:\n%s", a.stderr)
	}
	if a.status != r.status {
		t.Errorf("status %d, want %d", a.status, r.status)
	}
	if want := map[bool]string{false: "before", true: "behind"}[r.behind]; a.free != want {
		t.Errorf("FREE %q END_REQUEST, want %q", a.free, want)
	}
	if _, seen := p.do(t, "", "PATH_INFO=/seen").split(); seen != r.seen {
		t.Errorf("the application has seen %q, want %q", seen, r.seen)
	}
}

// A python is one to test with.
type testPython struct{ path, version string }

// pythons returns python3 and, so far as they are there, the Pythons that a worker runs on: of PATH, and of pyenv.
func pythons(t testing.TB) []testPython {
	t.Helper()
	const version = "import sys; print('%d.%d' % sys.version_info[:2])"
	list := []testPython{{"python3", strings.TrimSpace(string(testkit.Python(t, nil, "-c", version)))}}
	if testing.Short() {
		return list
	}
	root := ""
	if out, err := exec.Command("pyenv", "root").Output(); err == nil {
		root = strings.TrimSpace(string(out))
	}
	for minor := 8; minor <= 15; minor++ {
		found := testPython{version: fmt.Sprintf("3.%d", minor)}
		if paths, _ := filepath.Glob(filepath.Join(root, "versions", found.version+".*", "bin", "python3")); root != "" && len(paths) > 0 {
			found.path = paths[len(paths)-1]
		} else if path, err := exec.LookPath("python" + found.version); err == nil {
			found.path = path
		}
		if found.path != "" && found.version != list[0].version {
			list = append(list, found)
		}
	}
	return list
}

// testdata returns the directory of the applications.
func testdata(t testing.TB) string {
	t.Helper()
	dir, err := filepath.Abs("testdata")
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestGrammar: worker.py has the grammar of the oldest Python.
func TestGrammar(t *testing.T) {
	testkit.Python(t, []byte(worker), "-c", "import ast, sys; ast.parse(sys.stdin.read(), feature_version=("+strings.ReplaceAll(Oldest, ".", ", ")+"))")
	for _, b := range []byte(worker) {
		if b > 127 {
			t.Fatalf("worker.py has the byte %#x, and its encoding is not said", b)
		}
	}
}

// TestServerName: SERVER_NAME and SERVER_PORT are never empty (PEP 3333), whatever the web server sends.
func TestServerName(t *testing.T) {
	s := supervise(t, Limits{Programs: 1, QueueWait: -1}, `
def app(environ, start_response):
    start_response('200 OK', [('Content-Type', 'text/plain')])
    return [(environ['SERVER_NAME'] + ' ' + environ['SERVER_PORT']).encode()]
`)
	for vars, want := range map[string]string{
		"SERVER_NAME= SERVER_PORT= HTTP_HOST=www.example.test:8080": "www.example.test 8080",
		"SERVER_NAME= SERVER_PORT=81":                               "localhost 81",
		"SERVER_NAME=_ SERVER_PORT=80":                              "_ 80",
	} {
		if got := fetch(s, strings.Fields(vars)...); got.Body.String() != want {
			t.Errorf("%s: %v, want %s", vars, got, want)
		}
	}
}
