package fastcgi

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"

	"gatehouse/cgi"
	"gatehouse/fastcgi/record"
	"gatehouse/internal/testkit"
)

// F21: what an application says on STDERR comes at once, in records of its own, and
// that stream is ended before the request if it was used, and only then.
func TestF21Stderr(t *testing.T) {
	app := cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
		if n := r.Env.Get("SAYS"); n != "" {
			said := make(chan error)
			go func() { said <- cgi.WriteStderr(w, bytes.Repeat([]byte(n), 70000)) }() // more than a record
			if err := <-said; err != nil {
				t.Error(err)
			}
		}
		if err := cgi.WriteStderr(w, nil); err != nil { // nothing, which is no end either
			t.Error(err)
		}
		if err := w.StartResponse("200 OK", []cgi.Field{{Name: "Content-Type", Value: "text/plain"}}); err != nil {
			return err
		}
		_, err := w.Write([]byte("answer"))
		return err
	})
	ts := serve(t, "unix", &Server{App: app})
	for _, says := range []string{"x", ""} {
		c := ts.dial()
		c.send(get(1, 0, "SAYS="+says))
		var types []record.Type
		var lengths []int
		var stderr, stdout strings.Builder
		for {
			typ, _, content, err := c.next()
			if err != nil {
				t.Fatal(err)
			}
			if len(types) == 0 || types[len(types)-1] != typ || len(content) == 0 {
				types, lengths = append(types, typ), append(lengths, 0)
			}
			lengths[len(lengths)-1] += len(content)
			switch typ {
			case record.Stderr:
				stderr.Write(content)
			case record.Stdout:
				stdout.Write(content)
			}
			if typ == record.EndRequest {
				break
			}
		}
		want := []record.Type{record.Stdout, record.Stdout, record.EndRequest}
		if says != "" {
			want = []record.Type{record.Stderr, record.Stdout, record.Stdout, record.Stderr, record.EndRequest}
			if lengths[3] != 0 || stderr.String() != strings.Repeat("x", 70000) {
				t.Errorf("STDERR has %d bytes, and then %d", stderr.Len(), lengths[3])
			}
		}
		if len(types) != len(want) {
			t.Fatalf("%v; want %v", types, want)
		}
		for i := range want {
			if types[i] != want[i] {
				t.Errorf("%v; want %v", types, want)
			}
		}
		if !strings.HasSuffix(stdout.String(), "\r\n\r\nanswer") {
			t.Errorf("STDOUT is %q", stdout.String())
		}
	}
}

// TestStderrRecords: no record of STDERR lacks padding, or is larger than what HAProxy takes.
func TestStderrRecords(t *testing.T) {
	for _, size := range []int{1, 7, 8, 9, stderrContent - 1, stderrContent, stderrContent + 1, 3 * stderrContent, 100_000} {
		said := bytes.Repeat([]byte("0123456789"), size/10+1)[:size]
		var got []byte
		r := record.NewReader(bytes.NewReader(appendStderr(nil, 7, said)))
		for {
			h, content, err := r.Next()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			if h.Type() != record.Stderr || h.ID() != 7 || h.ContentLength() > stderrContent || h.PaddingLength() == 0 || (h.ContentLength()+h.PaddingLength())%8 != 0 {
				t.Errorf("%d bytes: a record of %d and %d of padding", size, h.ContentLength(), h.PaddingLength())
			}
			got = append(got, content...)
		}
		if !bytes.Equal(got, said) {
			t.Errorf("%d bytes: %d come back", size, len(got))
		}
	}
}

// Nothing is said to a web server that has gone.
func TestStderrOfAbortedRequest(t *testing.T) {
	failed := make(chan error, 1)
	ts := serve(t, "unix", &Server{App: cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
		err := untilCancelled(r)
		failed <- cgi.WriteStderr(w, []byte("x"))
		return err
	})})
	c := ts.dial()
	c.send(get(1, 1), abort(1))
	if err := testkit.Receive(t, "the answer", failed); err == nil {
		t.Error("no error")
	}
	c.answer(1)
}

// TestNoStderr holds that nothing is sent on STDERR where the web server must not see any.
func TestNoStderr(t *testing.T) {
	ts := serve(t, "unix", &Server{NoStderr: true, App: cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
		if err := cgi.WriteStderr(w, []byte("x")); err != http.ErrNotSupported {
			t.Errorf("WriteStderr: %v, want http.ErrNotSupported", err)
		}
		return w.StartResponse("204 No Content", nil)
	})})
	c := ts.dial()
	c.send(get(1, 0))
	for {
		typ, _, _, err := c.next()
		if err != nil {
			t.Fatal(err)
		}
		if typ == record.Stderr {
			t.Error("there is a STDERR record")
		}
		if typ == record.EndRequest {
			return
		}
	}
}
