//go:build linux

package script

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"gatehouse/cgi"
	"gatehouse/internal/testkit"
)

const head = "printf 'Content-Type: text/plain\\n\\n'\n"

func TestHello(t *testing.T) {
	f := newFixture(t)
	f.sh(t, "hello.cgi", `printf 'Content-Type: text/plain\n\nhello world\n'`)
	s, res := f.serve(request("/hello.cgi"))
	checkOK(t, s, res, "hello world\n")
	if s.Head.Status != "200 OK" || s.Field("Content-Type") != "text/plain" {
		t.Errorf("head %+v", s.Head)
	}
}

func TestStatusAndRedirect(t *testing.T) {
	f := newFixture(t)
	f.sh(t, "a", `printf 'Status: 404\r\nX-A: 1\r\n\r\n'`)
	f.sh(t, "b", `printf 'Location: http://example.com/\n\n'`)
	if s, res := f.serve(request("/a")); res.Err != nil || s.Head.Status != "404 Not Found" || s.Field("X-A") != "1" {
		t.Errorf("%+v, %v; want 404", s.Head, res.Err)
	}
	if s, res := f.serve(request("/b")); res.Err != nil || s.Head.Status != "302 Found" || s.Field("Location") != "http://example.com/" {
		t.Errorf("%+v, %v; want 302", s.Head, res.Err)
	}
}

func TestOutputStreams(t *testing.T) {
	f := newFixture(t)
	fifo := f.fifo(t, "fifo")
	// The second line comes only after the first has been sent on.
	f.sh(t, "stream", head+"echo first\nread x <fifo\necho second")
	s, seen := new(recorder), false
	s.onFlush = func(body string) {
		if body == "first\n" && !seen {
			seen = true
			go os.WriteFile(fifo, []byte("go\n"), 0)
		}
	}
	res := f.serveTo(request("/stream"), s)
	checkOK(t, s, res, "first\nsecond\n")
}

func TestChildLeftBehindDoesNotHoldTheAnswer(t *testing.T) {
	f := newFixture(t)
	fifo := f.fifo(t, "fifo")
	f.sh(t, "daemon", head+"(read x <fifo) &\necho $$ >pgid\necho done")
	s, res := f.serve(request("/daemon"))
	checkOK(t, s, res, "done\n")
	if err := f.Close(); err != nil {
		t.Error(err)
	}
	// The child lives on: it can still be told to end.
	if err := os.WriteFile(fifo, []byte("end\n"), 0); err != nil {
		t.Error(err)
	}
	checkNoGroup(t, filepath.Join(f.dir, "pgid"))
}

func TestLargeOutputOfAnEndedProgramIsWhole(t *testing.T) {
	f := newFixture(t)
	fifo := f.fifo(t, "fifo")
	// 60,000 bytes lie in the pipe when the program ends, and a child holds it open.
	f.sh(t, "big", head+"(read x <fifo) &\nhead -c 60000 /dev/zero")
	s, res := f.serve(request("/big"))
	os.WriteFile(fifo, []byte("end\n"), 0)
	checkOK(t, s, res, strings.Repeat("\x00", 60000))
}

func TestProgramThatClosesStdoutAndRunsOn(t *testing.T) {
	f := newFixture(t)
	f.sh(t, "lingers", "echo $$ >pgid\n"+head+"echo done\nexec >&- 2>&-\nexec sleep 1000")
	s, res := f.serve(request("/lingers"))
	checkOK(t, s, res, "done\n")
	if err := f.Close(); err != nil {
		t.Error(err)
	}
	checkNoGroup(t, filepath.Join(f.dir, "pgid"))
}

func TestR62ItsEnd(t *testing.T) {
	f := newFixture(t)
	f.sh(t, "silent", "exit 3")
	f.sh(t, "garbage", "echo Traceback: x y\necho what")
	f.sh(t, "cut", "echo Content-Type: text/plain")
	f.sh(t, "killed", head+"echo part\nkill -9 $$")
	f.sh(t, "killed-nohead", "kill -9 $$")
	f.sh(t, "killed-late", head+"echo part\nread x <fifo\nkill -9 $$")
	f.sh(t, "failed", head+"echo whole\nexit 7")

	_, res := f.serve(request("/silent"))
	checkRefused(t, res, 502, f.dir+"/silent", "no head", "output is empty", "exit status 3")
	_, res = f.serve(request("/garbage"))
	checkRefused(t, res, 502, f.dir+"/garbage", "bad head", `line 2, "what"`)
	_, res = f.serve(request("/cut"))
	checkRefused(t, res, 502, "no head", "ended before")
	// While its head is held, it is 502; on a busy machine the head may have left.
	_, res = f.serve(request("/killed"))
	if res.End != cgi.Truncated || res.Code != 200 || !strings.Contains(fmt.Sprint(res.Err), "signal: killed") {
		checkRefused(t, res, 502, f.dir+"/killed", "signal: killed")
	}
	_, res = f.serve(request("/killed-nohead"))
	checkRefused(t, res, 502, "signal: killed")

	// The head has left, so that nothing but a truncation is possible.
	fifo := f.fifo(t, "fifo")
	s := new(recorder)
	s.onFlush = func(string) { go writeFifo(t, fifo) }
	res = f.serveTo(request("/killed-late"), s)
	if res.End != cgi.Truncated || res.Code != 200 || s.Body.String() != "part\n" {
		t.Errorf("%v, %d, %q; want a truncated answer of 200", res.End, res.Code, s.Body.String())
	}

	s, res = f.serve(request("/failed"))
	checkOK(t, s, res, "whole\n")
	if s.Outcome.ExitStatus != 7 {
		t.Errorf("exit status %d; want 7", s.Outcome.ExitStatus)
	}
	if log := f.log.String(); !strings.Contains(log, "script="+f.dir+"/failed status=7") {
		t.Errorf("the log does not have the exit status:\n%s", log)
	}
}

func TestContentLengthOverrun(t *testing.T) {
	f := newFixture(t)
	f.sh(t, "long", `printf 'Content-Length: 5\n\nhello, world'; echo end >end`)
	s, res := f.serve(request("/long"))
	if res.End != cgi.Complete || s.Body.String() != "hello" || !errors.Is(res.Err, cgi.ErrContentLength) {
		t.Errorf("%v, %q, %v; want hello, complete, with the error logged", res.End, s.Body.String(), res.Err)
	}
	if _, err := os.Stat(filepath.Join(f.dir, "end")); err != nil {
		t.Errorf("the program did not come to its end: %v", err)
	}
	f.sh(t, "endless", "echo $$ >pgid\nprintf 'Content-Length: 5\\n\\n'\nexec yes")
	s, res = f.serve(request("/endless"))
	if res.End != cgi.Complete || s.Body.String() != "y\ny\ny" {
		t.Errorf("%v, %q, %v; want five bytes, complete", res.End, s.Body.String(), res.Err)
	}
	f.Close()
	checkNoGroup(t, filepath.Join(f.dir, "pgid"))
}

func TestR63Stderr(t *testing.T) {
	f := newFixture(t)
	f.sh(t, "warns", "echo oops >&2\nprintf 'no newline' >&2\n"+head+"echo body")
	r := request("/warns")
	r.ID = 4711
	s, res := f.serve(r)
	checkOK(t, s, res, "body\n")
	for _, line := range []string{"request=4711 script=" + f.dir + "/warns line=oops\n", `line="no newline"`} {
		if !strings.Contains(f.log.String(), line) {
			t.Errorf("the log has no %q:\n%s", line, f.log)
		}
	}
	// It is drained without an end, and bounded in the log.
	f.sh(t, "floods", "head -c 3000000 /dev/zero | tr '\\0' x >&2\n"+head+"echo body")
	s, res = f.serve(request("/floods"))
	checkOK(t, s, res, "body\n")
	log := f.log.String()
	if len(log) > 2*stderrTotal || !strings.Contains(log, "suppressed") {
		t.Errorf("the log has %d bytes; want at most %d, and a line on what is missing", len(log), 2*stderrTotal)
	}
}

func TestManyAtOnce(t *testing.T) {
	f := newFixture(t)
	f.sh(t, "echo", head+`echo "$QUERY_STRING"; cat`)
	errs := make(chan error, 40)
	for i := range cap(errs) {
		go func() {
			r := withBody(request("/echo", fmt.Sprintf("QUERY_STRING=%d", i)), 5, strings.NewReader("hello"))
			s, res := f.serve(r)
			if want := fmt.Sprintf("%d\nhello", i); s.Body.String() != want || res.Err != nil {
				errs <- fmt.Errorf("%q, %v; want %q", s.Body.String(), res.Err, want)
				return
			}
			errs <- nil
		}()
	}
	for range cap(errs) {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
}

// TestClone: a clone has every field that can be configured.
func TestClone(t *testing.T) {
	a := new(App)
	v := reflect.ValueOf(a).Elem()
	for i := range v.NumField() {
		f := v.Field(i)
		if !f.CanSet() {
			continue
		}
		switch f.Kind() {
		case reflect.Bool:
			f.SetBool(true)
		case reflect.String:
			f.SetString("x")
		case reflect.Uint8:
			f.SetUint(1)
		case reflect.Slice:
			f.Set(reflect.MakeSlice(f.Type(), 1, 1))
		case reflect.Map:
			f.Set(reflect.MakeMap(f.Type()))
		case reflect.Pointer:
			f.Set(reflect.New(f.Type().Elem()))
		case reflect.Interface:
			f.Set(reflect.ValueOf(new(testkit.Log)))
		case reflect.Struct:
			f.Field(0).Set(reflect.ValueOf(map[reflect.Kind]any{reflect.String: "x", reflect.Bool: true, reflect.Int: 1}[f.Field(0).Kind()]))
		default:
			t.Fatalf("no value for %s", v.Type().Field(i).Name)
		}
	}
	c := reflect.ValueOf(a.Clone()).Elem()
	for i := range v.NumField() {
		if v.Field(i).CanSet() && !reflect.DeepEqual(v.Field(i).Interface(), c.Field(i).Interface()) {
			t.Errorf("%s is not cloned", v.Type().Field(i).Name)
		}
	}
}
