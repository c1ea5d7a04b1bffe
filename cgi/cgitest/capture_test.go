package cgitest

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

const captureFiles = 157

func loadTestdata(t *testing.T) (fs.FS, []Capture) {
	t.Helper()
	fsys := os.DirFS("../testdata/captures")
	captures, err := LoadCaptures(fsys)
	if err != nil {
		t.Fatal(err)
	}
	return fsys, captures
}

func TestCapturesListEachFileOnce(t *testing.T) {
	fsys, captures := loadTestdata(t)
	files, err := fs.Glob(fsys, "*.bin")
	if err != nil {
		t.Fatal(err)
	}
	if len(files) != captureFiles {
		t.Errorf("there are %d files, want %d", len(files), captureFiles)
	}
	listed := make(map[string]int)
	for _, c := range captures {
		listed[c.File]++
		info, err := fs.Stat(fsys, c.File)
		if err != nil {
			t.Error(err)
		} else if info.Size() != c.Bytes {
			t.Errorf("%s has %d bytes, want %d", c.File, info.Size(), c.Bytes)
		}
		if words := strings.Split(c.File, "-"); len(words) < 3 || words[1] != c.Protocol {
			t.Errorf("%s is of protocol %q by its facts", c.File, c.Protocol)
		}
	}
	for _, f := range files {
		if listed[f] != 1 {
			t.Errorf("%s is listed %d times", f, listed[f])
		}
	}
}

// TestCapturesStateTheirBytes checks that the facts of each file account for every
// byte of it.
func TestCapturesStateTheirBytes(t *testing.T) {
	_, captures := loadTestdata(t)
	for _, c := range captures {
		t.Run(path.Base(c.File), func(t *testing.T) {
			var sum int64
			if c.GetValues != nil {
				sum += 8
				for _, name := range c.GetValues {
					sum += int64(2 + len(name))
				}
			}
			for _, r := range c.Requests {
				switch c.Protocol {
				case "fastcgi":
					sum += 16 // BEGIN_REQUEST
					body := int64(0)
					for _, rec := range r.Params {
						sum += int64(8 + rec.Content + rec.Padding)
					}
					for _, rec := range r.Stdin {
						sum += int64(8 + rec.Content + rec.Padding)
						body += int64(rec.Content)
					}
					for _, record := range []bool{r.ParamsEnded, r.StdinEnded, r.Aborted} {
						if record {
							sum += 8
						}
					}
					if r.Names > 0 && r.Status == 0 && body != r.BodyLen {
						t.Errorf("request %d: STDIN has %d bytes, the body %d", r.ID, body, r.BodyLen)
					}
				case "scgi":
					sum += int64(len(fmt.Sprint(r.Block))+2+r.Block) + r.BodyLen
				case "uwsgi":
					sum += int64(4+r.Block) + r.BodyLen
				}
				if r.Names > 0 && r.Status == 0 {
					if short := c.Protocol == "fastcgi" && !r.StdinEnded || r.BodyLen < r.Length; short != r.Truncated {
						t.Errorf("request %d: truncated is %v, but %d of %d bytes came", r.ID, r.Truncated, r.BodyLen, r.Length)
					}
					if r.NoBody && r.BodyLen != 0 {
						t.Errorf("request %d: length is none beside a body of %d bytes", r.ID, r.BodyLen)
					}
				}
			}
			if sum != c.Bytes {
				t.Errorf("the facts account for %d bytes of %d", sum, c.Bytes)
			}
		})
	}
}

const everyFact = `
# A comment.
file a.bin
server="front \"1\""
protocol=fastcgi
bytes=123
getvalues=FCGI_MAX_CONNS FCGI_MPXS_CONNS
request 65535
	role=1
	flags=1
	params=527+1 65535+255 end
	stdin=11 5+3
	abort
	names=9
	name.9=HTTP_HOST
	name.1="proxy-sendcl"
	repeated.HTTP_X_A="one" "two, \x00"
	"proxy-sendcl"="1"
	QUERY_STRING=""
	PATH=*
	HTTP_X_BIG=*8000
	!PATH_INFO
	!"no-name"
	fullpath="/a b/é"
	length=17
	body="hello=world\n"
	truncated
request 1
  role=1
  flags=0
  params=none
  stdin=end
file b.bin
server="s"
protocol=uwsgi
bytes=1
request
  block=7
  modifiers=0 255
  names=1
  fullpath="/"
  length=none
  body.len=100
  body.sha256=e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855
request
  block=8
  modifiers=0 0
  names=1
  SCRIPT_NAME="/\x00"
  status=400
file c.bin
server="s"
protocol=scgi
bytes=2
request
  block=7
  names=1
  fullpath="/"
  length=unknown
  body=""
`

func TestLoadCapturesTakesEveryFact(t *testing.T) {
	got, err := LoadCaptures(fstest.MapFS{"expect.txt": {Data: []byte(everyFact)}})
	if err != nil {
		t.Fatal(err)
	}
	want := []Capture{{
		File: "a.bin", Server: `front "1"`, Protocol: "fastcgi", Bytes: 123,
		GetValues: []string{"FCGI_MAX_CONNS", "FCGI_MPXS_CONNS"},
		Requests: []CaptureRequest{{
			ID: 65535, Role: 1, Flags: 1,
			Params: []CaptureRecord{{527, 1}, {65535, 255}}, ParamsEnded: true,
			Stdin: []CaptureRecord{{11, 0}, {5, 3}}, Aborted: true,
			Names:    9,
			At:       []CaptureName{{9, "HTTP_HOST"}, {1, "proxy-sendcl"}},
			Repeated: []CaptureRepeat{{"HTTP_X_A", []string{"one", "two, \x00"}}},
			Vars: []CaptureVariable{
				{Name: "proxy-sendcl", Known: true, Value: "1", Len: 1},
				{Name: "QUERY_STRING", Known: true},
				{Name: "PATH", Len: -1},
				{Name: "HTTP_X_BIG", Len: 8000},
				{Name: "PATH_INFO", Absent: true, Len: -1},
				{Name: "no-name", Absent: true, Len: -1},
			},
			FullPath: "/a b/é", Length: 17, Body: []byte("hello=world\n"), BodyLen: 12, Truncated: true,
		}, {
			ID: 1, Role: 1, StdinEnded: true, Length: -1,
		}},
	}, {
		File: "b.bin", Server: "s", Protocol: "uwsgi", Bytes: 1,
		Requests: []CaptureRequest{{
			Block: 7, Modifiers: [2]int{0, 255}, Names: 1, FullPath: "/", Length: -1, NoBody: true,
			BodyLen: 100, BodySHA256: "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
		}, {
			Block: 8, Names: 1, Length: -1, Status: 400,
			Vars: []CaptureVariable{{Name: "SCRIPT_NAME", Known: true, Value: "/\x00", Len: 2}},
		}},
	}, {
		File: "c.bin", Server: "s", Protocol: "scgi", Bytes: 2,
		Requests: []CaptureRequest{{Block: 7, Names: 1, FullPath: "/", Length: -1, Body: []byte{}}},
	}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if r := got[0].Requests; !r[0].KeepConn() || r[1].KeepConn() {
		t.Error("KeepConn is not flag 1")
	}
}

// TestLoadCapturesRefuses replaces one line of everyFact and wants an error that
// holds the text and the number of the line.
func TestLoadCapturesRefuses(t *testing.T) {
	tests := []struct{ old, new, want string }{
		{"bytes=123", "size=123", "unknown fact of a file"},
		{"bytes=123", "bytes=-1", "no number"},
		{"bytes=123", "!PATH_INFO", "unknown fact of a file"},
		{"protocol=fastcgi", "protocol=http", "protocols are"},
		{`server="front \"1\""`, "server=front", "invalid syntax"},
		{"request 65535", "request 65536", "1 to 65535"},
		{"request 65535", "request", "1 to 65535"},
		{"	role=1", "	rule=1", "unknown fact of a request"},
		{"	role=1", "	role=1\n	role=1", "stated twice"},
		{"	role=1", "	block=1", "a fact of SCGI and uwsgi"},
		{"	role=1", "	role=", "no value"},
		{"	flags=1", "	flags=256", "value out of range"},
		{"	params=527+1 65535+255 end", "	params=0 end", "1 to 65535"},
		{"	params=527+1 65535+255 end", "	params=65536 end", "1 to 65535"},
		{"	params=527+1 65535+255 end", "	params=527+0 end", "1 to 255"},
		{"	params=527+1 65535+255 end", "	params=end 527", "not the last word"},
		{"	abort", "	abort=1", "no value"},
		{"	abort", "	aborted", "unknown fact of a request"},
		{"	names=9", "	names=0", "leave the fact out"},
		{"	name.9=HTTP_HOST", "	name.0=HTTP_HOST", "from 1"},
		{"	name.9=HTTP_HOST", "	name.9=http-host", "needs quotes"},
		{`	repeated.HTTP_X_A="one" "two, \x00"`, `	repeated.HTTP_X_A="one"`, "at least two"},
		{`	repeated.HTTP_X_A="one" "two, \x00"`, `	repeated.HTTP_X_A="one"  "two"`, "string literals"},
		{`	"proxy-sendcl"="1"`, `	proxy-sendcl="1"`, "unknown fact of a request"},
		{`	"proxy-sendcl"="1"`, `	"PATH"="1"`, "unknown fact of a request"},
		{`	QUERY_STRING=""`, `	QUERY_STRING=`, "no value"},
		{`	QUERY_STRING=""`, `	QUERY_STRING=a`, "no string literal"},
		{`	QUERY_STRING=""`, `	QUERY_STRING`, "no string literal"},
		{`	QUERY_STRING=""`, `	PATH_INFO=""`, ""},
		{"	HTTP_X_BIG=*8000", "	HTTP_X_BIG=*-1", "no number"},
		{"	length=17", "	length=-1", "no number"},
		{"  body.len=100", "  stdin=end", "a fact of FastCGI"},
		{"  status=400", "  status=40", "three digits"},
		{"  body.sha256=e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", "  body.sha256=e3", "64 digits"},
		{"file b.bin", "file a.bin", "listed twice"},
		{"file b.bin", "file ../b.bin", "no name of a file"},
		{"file a.bin", "bytes=1", "before the first file"},
	}
	for _, tt := range tests {
		t.Run(strings.TrimSpace(tt.new), func(t *testing.T) {
			lines := strings.Split(everyFact, "\n")
			i := slices.Index(lines, tt.old)
			if i < 0 {
				t.Fatalf("no line %q", tt.old)
			}
			line := i + 1 + strings.Count(tt.new, "\n")
			if tt.want == "" { // the second of two statements, further down
				tt.want = "stated twice"
				line = slices.Index(lines, "	!PATH_INFO") + 1
			}
			lines[i] = tt.new
			wantLoadError(t, strings.Join(lines, "\n"), fmt.Sprintf("line %d:", line), tt.want)
		})
	}
}

// TestLoadCapturesRefusesGaps leaves out facts that each block must have.
func TestLoadCapturesRefusesGaps(t *testing.T) {
	tests := []struct{ text, want string }{
		{"file a\nserver=\"s\"\nprotocol=scgi\nrequest\n", `line 4: the facts above lack "bytes"`},
		{"file a\nserver=\"s\"\nprotocol=scgi\nbytes=1\n", "line 4: file a has no request"},
		{"file a\nserver=\"s\"\nprotocol=scgi\nbytes=1\nrequest\nnames=1\n", `line 6: the facts above lack "block"`},
		{"file a\nserver=\"s\"\nprotocol=scgi\nbytes=1\nrequest 1\n", `line 5: request id "1" in a protocol without ids`},
		{"file a\nserver=\"s\"\nprotocol=scgi\nbytes=1\nrequest\nblock=1\nnames=1\nfile b\n", `line 8: the facts above lack "fullpath"`},
		{"file a\nserver=\"s\"\nprotocol=fastcgi\nbytes=1\nrequest 1\nrequest 2\n", `line 6: the facts above lack "role"`},
		{"file a\nserver=\"s\"\nprotocol=fastcgi\nbytes=1\nrequest 1\nrole=1\nflags=0\nparams=none\nstdin=none\nPATH=*\n", `line 10: facts of variables without "names"`},
		{"file a\nserver=\"s\"\nprotocol=scgi\nbytes=1\nrequest\nblock=1\nnames=1\nstatus=400\nbody=\"\"\n", `line 9: fact "body" of a request that no application sees`},
	}
	for _, tt := range tests {
		wantLoadError(t, tt.text, tt.want)
	}
}

func TestLoadCapturesNamesTheMissingFile(t *testing.T) {
	if _, err := LoadCaptures(fstest.MapFS{}); err == nil || !strings.Contains(err.Error(), "expect.txt") {
		t.Errorf("got %v, want an error that names expect.txt", err)
	}
}

func wantLoadError(t *testing.T, text string, want ...string) {
	t.Helper()
	captures, err := LoadCaptures(fstest.MapFS{"expect.txt": {Data: []byte(text)}})
	if err == nil {
		t.Errorf("no error, want %q", want)
		return
	}
	for _, w := range want {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("got %q, want %q in it", err, w)
		}
	}
	if captures != nil {
		t.Errorf("captures beside the error %v", err)
	}
}
