package python

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"gatehouse/cgi"
	"gatehouse/internal/testkit"
)

// filing is an application that returns what FILE makes as a wsgi.file_wrapper, with a class that counts reads.
const filing = `
import bz2, gzip, io, tempfile, urllib.request
reads = 0
class Reader:
    "read() only"
    def __init__(self, f): self.f = f
    def read(self, n):
        global reads
        reads += 1
        return self.f.read(n)
class Raising(Reader):
    def fileno(self): raise io.UnsupportedOperation('fileno')
class Tempting(Reader):
    "fileno() is that of a file that read() does not give as it is"
    def fileno(self): return self.f.fileno()
    def read(self, n): return self.f.read(n).upper()
class Own(io.BufferedReader):
    def read(self, n): return super().read(n).upper()
class Proxy:
    "as that of Django, whose read is that of its file"
    def __init__(self, f): self.file = f
    read = property(lambda self: self.file.read)
    def close(self): note('close'); self.file.close()
class Unclosable:
    def __init__(self, f): self.read = f.read
def at(f, n):
    f.seek(n); return f
def after(f, n):
    f.read(n); return f
def overridden(f):
    read = f.read
    f.read = lambda n: read(n).upper()
    return f
def temporary(text):
    f = tempfile.TemporaryFile(); f.write(text); f.seek(0); return f
def named(text):
    f = tempfile.NamedTemporaryFile(); f.write(text); f.flush(); f.seek(10); return f
def updated(name, text):
    f = open(name, 'r+b'); f.write(text); f.seek(1); f.write(b'#'); f.seek(0); return f
def pipe(text):
    r, w = os.pipe(); os.write(w, text); os.close(w); return open(r, 'rb')
def closed(f):
    f.close(); return f
def app(environ, start_response):
    headers = [('Content-Type', 'text/plain')]
    if environ.get('LENGTH'):
        headers.append(('Content-Length', environ['LENGTH']))
    write = start_response(environ.get('STATUS', '200 OK'), headers)
    if environ.get('WRITE'):
        write(environ['WRITE'].encode())
    name = environ.get('NAME')
    result = environ['wsgi.file_wrapper'](eval(environ['FILE']), 5000)
    return result if not environ.get('WRAPPED') else iter(result)
`

// TestFiles: whatever is returned as a wsgi.file_wrapper, the response is what its read() gives, and
// nothing is left open. A large regular file is passed on, and only that.
func TestFiles(t *testing.T) {
	content := strings.Repeat("0123456789abcdefghi\n", 50_000) // 1 MB
	s := supervise(t, Limits{Programs: 2}, filing)
	large, small, empty := filepath.Join(s.dir, "large"), filepath.Join(s.dir, "small"), filepath.Join(s.dir, "empty")
	writeFile(t, large, content)
	writeFile(t, small, content[:1000])
	writeFile(t, empty, "")
	upper := strings.ToUpper(content)
	s.Start()
	fetch(s)
	for _, tt := range []struct {
		name string
		file string   // an expression
		vars []string // besides
		want string
		sent bool // passed on
		end  cgi.End
	}{
		{name: "a file", file: "open(name, 'rb')", want: content, sent: true},
		{name: "without a buffer", file: "open(name, 'rb', 0)", want: content, sent: true},
		{name: "not at its start", file: "at(open(name, 'rb'), 123)", want: content[123:], sent: true},
		{name: "after a read", file: "after(open(name, 'rb'), 77)", want: content[77:], sent: true},
		{name: "near its end", file: "at(open(name, 'rb'), 999_000)", want: content[999_000:]},
		{name: "at its end", file: "at(open(name, 'rb'), 1_000_000)", want: ""},
		{name: "behind its end", file: "at(open(name, 'rb'), 2_000_000)", want: ""},
		{name: "a proxy", file: "Proxy(open(name, 'rb'))", want: content, sent: true},
		{name: "without close", file: "Unclosable(open(name, 'rb'))", want: content, sent: true},
		{name: "a temporary file", file: "temporary(open(name, 'rb').read())", want: content, sent: true},
		{name: "a named temporary file", file: "named(open(name, 'rb').read())", want: content[10:], sent: true},
		{name: "open for writing, too", file: "updated(name, b'x' * 10)", want: "x#xxxxxxxx" + content[10:], sent: true},
		{name: "a small file", file: "open(name, 'rb')", vars: []string{"NAME=" + small}, want: content[:1000]},
		{name: "an empty file", file: "open(name, 'rb')", vars: []string{"NAME=" + empty}, want: ""},
		{name: "its length", file: "open(name, 'rb')", vars: []string{"LENGTH=1000000"}, want: content, sent: true},
		{name: "a part of its length", file: "open(name, 'rb')", vars: []string{"LENGTH=500000"}, want: content[:500_000], sent: true},
		{name: "a small part", file: "open(name, 'rb')", vars: []string{"LENGTH=5"}, want: content[:5]},
		{name: "shorter than its length", file: "open(name, 'rb')", vars: []string{"LENGTH=1000001"}, want: content, sent: true, end: cgi.Truncated},
		{name: "BytesIO", file: "io.BytesIO(open(name, 'rb').read())", want: content},
		{name: "read() only", file: "Reader(open(name, 'rb'))", want: content},
		{name: "a fileno() that raises", file: "Raising(open(name, 'rb'))", want: content},
		{name: "a fileno() that tempts", file: "Tempting(open(name, 'rb'))", want: upper},
		{name: "a class of its own", file: "Own(io.FileIO(name))", want: upper},
		{name: "a read of its own", file: "overridden(open(name, 'rb'))", want: upper},
		{name: "gzip", file: "gzip.GzipFile(fileobj=temporary(gzip.compress(open(name, 'rb').read())))", want: content},
		{name: "bz2", file: "bz2.BZ2File(temporary(bz2.compress(open(name, 'rb').read(), 1)))", want: content},
		{name: "a pipe", file: "pipe(b'from a pipe')", want: "from a pipe"},
		{name: "a file of /proc", file: "open('/proc/self/cmdline', 'rb')", want: ""},
		{name: "a file of /sys", file: "open('/sys/kernel/mm/transparent_hugepage/enabled', 'rb')", want: ""},
		{name: "in an iterator", file: "open(name, 'rb')", vars: []string{"WRAPPED=1"}, want: content},
		{name: "after a write", file: "open(name, 'rb')", vars: []string{"WRITE=before "}, want: "before " + content},
		{name: "HEAD", file: "open(name, 'rb')", vars: []string{"REQUEST_METHOD=HEAD"}, want: ""},
		{name: "304", file: "open(name, 'rb')", vars: []string{"STATUS=304 Not Modified"}, want: ""},
		{name: "closed", file: "closed(open(name, 'rb'))", want: "error"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			writeFile(t, large, content)
			got := fetch(s, append([]string{"NAME=" + large, "FILE=" + tt.file}, tt.vars...)...)
			body := got.Body.String()
			switch {
			case tt.want == "error":
				if got.Head.Code != 500 {
					t.Errorf("%v", got)
				}
			case strings.HasPrefix(tt.name, "a file of"):
				if got.Outcome.End != cgi.Complete || len(body) == 0 {
					t.Errorf("%v, %q", got.Outcome, body)
				}
			case got.Outcome.End != tt.end || body != tt.want:
				t.Errorf("%v with %d bytes, or other ones; want %d", got.Outcome, len(body), len(tt.want))
			}
			if known := got.Field("Content-Length") != ""; known != tt.sent && tt.vars == nil && len(tt.want) > 100_000 {
				t.Errorf("passed on: %v, want %v", known, tt.sent)
			}
		})
	}
	for i := range 2 { // both workers
		got := fetch(s, fmt.Sprintf("N=%d", i), "NAME="+large, "FILE=io.BytesIO(repr(os.listdir('/proc/self/fd')).encode())")
		if n := strings.Count(got.Body.String(), ","); n > 12 {
			t.Errorf("a worker has %d descriptors: %s", n, got.Body.String())
		}
	}
	if n := strings.Count(strings.Join(s.notes(), " "), "close"); n != 1 {
		t.Errorf("a proxy was closed %d times", n)
	}
}

// TestFilesLeaveNothing: no descriptor of a file stays here, whatever becomes of the response.
func TestFilesLeaveNothing(t *testing.T) {
	s := supervise(t, Limits{Programs: 1}, filing)
	large := filepath.Join(s.dir, "large")
	writeFile(t, large, strings.Repeat("x", 1_000_000))
	if got := fetch(s, "NAME="+large, "FILE=open(name, 'rb')"); !whole(got) {
		t.Fatal(got)
	}
	before := testkit.Descriptors(t)
	for _, vars := range [][]string{{}, {"LENGTH=70000"}, {"REQUEST_METHOD=HEAD"}, {"LENGTH=2000000"}} {
		for range 10 {
			fetch(s, append(vars, "NAME="+large, "FILE=open(name, 'rb')")...)
		}
	}
	if now := testkit.Descriptors(t); now != before {
		t.Errorf("%d descriptors, before %d", now, before)
	}
}
